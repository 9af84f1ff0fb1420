package tasks

import (
	"context"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/tracee"
)

// How many instructions a task is let run to come out of the vdso: its longest
// function, getrandom, makes a block of random bytes with some hundred.
const vdsoSteps = 2000

// leaveVdso lets a task that stopped inside one of the vdso's functions run to
// the end of it. On a kernel with another vdso this one's functions lead
// elsewhere from their begin, and the data that they were about to read is not
// there: who is in the middle would come out with a wrong time. A signal handler
// that interrupted one of them does come back to the middle: then the function
// finds a clock that can't be read, and makes the system call, but for the
// coarse clocks and time(2), whose value may be that of 1970.
func (k *looking) leaveVdso(ctx context.Context, t *tracee.Thread, status *procfs.TaskStatus) error {
	const trap = uint64(1) << (unix.SIGTRAP - 1)
	r, err := t.Registers()
	if err != nil {
		return err
	}
	if _, in := r.Syscall(); in || r.Narrow() /* its vdso comes back only where it is the same */ || k.p.Stopped || (status.SigIgn|status.SigBlk)&trap != 0 {
		return nil
	}
	if k.vdso == nil {
		if k.vdso, err = findVdso(k.p.PID); err != nil {
			return err
		}
	}
	if r.PC() < k.vdso.Start || r.PC() >= k.vdso.End {
		return nil
	}
	return t.StepOut(ctx, k.vdso.Start, k.vdso.End, vdsoSteps)
}

// findVdso finds where a process has the vdso; nowhere, if it has none.
func findVdso(pid int) (*procfs.VMA, error) {
	maps, err := procfs.ReadMaps(pid)
	if err != nil {
		return nil, err
	}
	for _, v := range maps {
		if v.Path == "[vdso]" {
			return &v, nil
		}
	}
	return &procfs.VMA{}, nil
}
