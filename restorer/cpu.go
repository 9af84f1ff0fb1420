package restorer

import (
	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// shareCPU has this thread and the first process, and so all tasks that are
// forked from it, run on one CPU: a call in a stub costs a quarter then, as no
// other CPU has to be woken up for it. The CPUs that the image tells come last,
// in letGo. What it returns gives this thread its CPUs back.
func (r *restart) shareCPU() (undo func()) {
	undo = func() {}
	var ours, theirs, one unix.CPUSet
	if unix.SchedGetaffinity(0, &ours) != nil || unix.SchedGetaffinity(r.root.PID(), &theirs) != nil {
		return undo
	}
	cpu := sys.CurrentCPU()
	for n := 0; !ours.IsSet(cpu) || !theirs.IsSet(cpu); n++ {
		if n == len(ours)*64 {
			return undo // they have none in common
		}
		cpu = n
	}
	one.Set(cpu)
	if unix.SchedSetaffinity(r.root.PID(), &one) != nil || unix.SchedSetaffinity(0, &one) != nil {
		return undo
	}
	return func() { _ = unix.SchedSetaffinity(0, &ours) }
}
