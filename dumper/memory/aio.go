package memory

import (
	"fmt"
	"os"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// ofAio describes the ring of a context of io_setup(2), whose name is its address.
func (l *looker) ofAio(s *spaceLook, a *procfs.MappedArea, v *format.Vma) (*format.Vma, error) {
	const kind = "asynchronous I/O"
	if l.env.AioUnknown != nil {
		s.refuse(a, kind, "only the kernel's memory tells whether requests of io_submit(2) are under way, which can't be read: "+l.env.AioUnknown.Error(),
			"checkpoint with eBPF (without --no-bpf, on a kernel with BTF), or let the program use no aio (nginx: aio off; mysqld: innodb_use_native_aio=0)")
		return nil, nil
	}
	var context *kernel.AioContext
	for i, c := range l.env.Aio[s.ID] {
		if c.Address == a.Start {
			context = &l.env.Aio[s.ID][i]
		}
	}
	if context == nil {
		s.refuse(a, kind, "it is the ring of a context of io_setup(2) that the process does not have: a parent's, or a part of a ring that was cut", "end the process, or have the program make its contexts when it has forked")
		return nil, nil
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", s.PID))
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	ring := make([]byte, a.End-a.Start)
	if _, err := mem.ReadAt(ring, int64(a.Start)); err != nil {
		return nil, fmt.Errorf("read the ring of a context of io_setup(2): %w", err)
	}
	if r, err := format.ParseAioRing(ring); err != nil || r.ID != context.ID {
		s.refuse(a, kind, "of the ring of io_setup(2) a part was unmapped, or the program has written to its head", "have the program make a new context")
		return nil, nil
	}
	v.Kind, v.Aio = format.VmaKind_VMA_AIO, &format.AioContext{Id: context.ID, Ring: ring}
	v.Offset = 0
	return v, nil
}
