package tasks

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

const sizeofInstruction = 8 // of struct sock_filter

// SeccompFilters loads filters, the first one first; all means into all
// threads of the process, which have none that this one has not. Without
// no_new_privs, which the task may not have had, that needs CAP_SYS_ADMIN.
//
// SPEC_ALLOW: what the task wants of speculation is restored by itself; a
// filter that mitigates it (the kernel's seccomp mode of it, up to Linux 5.15
// the default) would do so for good.
func SeccompFilters(p place.Process, filters []*format.SeccompFilter, all bool) error {
	_, room := p.Scratch()
	b := &batch{}
	for i, f := range filters {
		// All of a task's filters have 256 KiB at most, but the scratch memory
		// promises less.
		if len(b.memory)+len(f.Instructions)+64 > room && len(b.calls) > 0 {
			if err := loadFilters(b, p); err != nil {
				return err
			}
		}
		flags := uint64(unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW)
		if f.Log {
			flags |= unix.SECCOMP_FILTER_FLAG_LOG
		}
		if all && i == len(filters)-1 {
			flags |= unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
		}
		program := make([]byte, 16) // struct sock_fprog
		le.PutUint16(program, uint16(len(f.Instructions)/sizeofInstruction))
		le.PutUint64(program[8:], b.put(p, f.Instructions))
		b.add(fmt.Sprintf("filter %d of %d", i+1, len(filters)), unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, b.put(p, program))
	}
	return loadFilters(b, p)
}

func loadFilters(b *batch, p place.Process) error {
	err := b.run(p)
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: loading it needs CAP_SYS_ADMIN in the container (lxc.cap.drop must not drop it)", err)
	}
	return err
}

// SeccompStrict puts the task into strict mode.
func SeccompStrict(p place.Process) error {
	if _, err := p.Call(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_STRICT, 0, 0, 0); err != nil {
		return fmt.Errorf("strict mode: %w", err)
	}
	return nil
}
