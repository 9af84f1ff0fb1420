package dumper

import (
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// checkUndo cuts what processes have to undo to the sets of semaphores that it
// is about, when those are known.
func (l *looking) checkUndo() {
	sizes := map[uint32]int{}
	for _, n := range l.skeleton.Namespaces {
		for _, s := range n.Ipc.GetSemaphores() {
			sizes[s.Permissions.Id] = len(s.Values)
		}
	}
	for _, f := range l.found {
		for _, u := range f.Undo {
			l.cutUndo(f.Process, u, sizes[u.Set])
		}
	}
}

func (l *looking) cutUndo(p *format.Process, u *format.SemaphoreUndo, size int) {
	refuse := func(reason string) {
		l.refuse(refusal.List{{
			PID: int(p.Pid), Command: p.Tasks[0].Name, Object: fmt.Sprintf("semaphore set %d", u.Set), Kind: "System V semaphores",
			Reason: reason, Remedy: "let it release the semaphores that it took with SEM_UNDO",
		}})
	}
	switch {
	case size == 0:
		refuse("it has to undo something in a set that is none of an IPC namespace of the container's own")
		return
	case size > len(u.Adjustments):
		refuse(fmt.Sprintf("it has to undo something in a set of %d semaphores, and this version reads %d", size, len(u.Adjustments)))
		return
	}
	u.Adjustments = u.Adjustments[:size]
	for _, a := range u.Adjustments {
		if a > format.MaxUndo || a < -format.MaxUndo {
			refuse(fmt.Sprintf("it has to add %d to a semaphore, and a restart can't do more than %d", a, format.MaxUndo))
			return
		}
	}
}
