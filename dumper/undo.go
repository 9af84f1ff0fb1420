package dumper

import (
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// checkUndo cuts what processes have to undo to the sets of semaphores that it
// is about, when those are known.
func (l *looking) checkUndo() {
	for _, f := range l.found {
		sizes := map[uint32]int{}
		// Who leaves an IPC namespace has nothing to undo in it any more (exit_sem).
		for _, s := range l.skeleton.IPCNamespaceOf(f.Namespaces).GetIpc().GetSemaphores() {
			sizes[s.Permissions.Id] = len(s.Values)
		}
		for _, u := range f.Undo {
			l.cutUndo(f.Process, u, sizes[u.Set])
		}
	}
}

// checkAttached refuses memory of an IPC namespace that a process has left: to attach
// it a restart has the process enter that for a moment, which it can't from a user
// namespace that a program made.
func (l *looking) checkAttached() {
	first := l.skeleton.UserNamespaceOf(l.found[0].Namespaces)
	seen := map[uint32]bool{}
	for _, f := range l.found {
		mm := l.skeleton.Mm(f.Mm)
		if mm == nil || seen[f.Mm] || l.skeleton.UserNamespaceOf(f.Namespaces) == first {
			continue
		}
		seen[f.Mm] = true
		for _, v := range mm.Vmas {
			if v.SharedMemory == 0 {
				continue
			}
			s := l.skeleton.SharedMemory(v.SharedMemory).GetSysv()
			if s == nil || l.skeleton.LivesIn(s.Namespace).GetId() == l.skeleton.IPCNamespaceOf(f.Namespaces).GetId() {
				continue
			}
			l.refuse(refusal.List{{
				PID: int(f.Pid), Command: f.Tasks[0].Name, Object: fmt.Sprintf("mapping %#x", v.Start), Kind: "System V shared memory",
				Reason: fmt.Sprintf("segment %d is of an IPC namespace that the process has left, as it has the user namespace around it", s.Permissions.Id),
				Remedy: "have the program detach it (shmdt), or end the process",
			}})
			break
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
