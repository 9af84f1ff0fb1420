package fds

import (
	"errors"
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// lookBPFMap refers to the map, which is looked at by its number in the kernel.
func lookBPFMap(w *walk, f *file) error {
	fd, err := f.copy()
	if err != nil {
		return err
	}
	m, err := w.Programs.Map(fd)
	if err != nil {
		return f.refuseBPF(err)
	}
	f.Kind = &format.OpenFile_BpfMap{BpfMap: &format.BpfFile{Object: m.Id}}
	return nil
}

// lookBPFProgram refers to the program likewise.
func lookBPFProgram(w *walk, f *file) error {
	fd, err := f.copy()
	if err != nil {
		return err
	}
	p, err := w.Programs.Program(fd)
	if err != nil {
		return f.refuseBPF(err)
	}
	f.Kind = &format.OpenFile_BpfProgram{BpfProgram: &format.BpfFile{Object: p.Id}}
	return nil
}

// lookBPFLink says which type of link it is (bpf_link_show_fdinfo,
// kernel/bpf/syscall.c).
func lookBPFLink(_ *walk, f *file) error {
	kind := "BPF link"
	if typ, ok := f.info.Get("link_type"); ok {
		kind = fmt.Sprintf("BPF link (%s)", typ)
	}
	return f.refuse(kind, "this version does not attach programs by links again", "have the program close it, or end it, before the checkpoint")
}

// refuseBPF says of which descriptor it is that something can't be taken.
func (f *file) refuseBPF(err error) error {
	var r *refusal.Refusal
	if errors.As(err, &r) {
		return f.refuse(r.Kind, r.Reason, r.Remedy)
	}
	return err
}
