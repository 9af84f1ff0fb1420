package tasks

import (
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
)

// undo notes what happens to semaphores when the process ends. A list belongs to
// one process: a restart makes it so.
func (k *looking) undo(u *view.Undo, leader bool) {
	if u == nil || len(u.Sets) == 0 {
		return
	}
	const remedy = "let it release the semaphores that it took with SEM_UNDO"
	owner, known := k.undos[u.List]
	switch {
	case known && owner == k.p.PID:
		return
	case known:
		k.refuse("", "System V semaphores", "it shares what is to be undone at its end with another process (CLONE_SYSVSEM)", remedy)
		return
	case !leader:
		k.refuse("", "System V semaphores", "a thread has a list of its own of what is to be undone at its end", remedy)
		return
	case u.More:
		k.refuse("", "System V semaphores", "it has more sets to undo at its end than this version reads", remedy)
		return
	}
	k.undos[u.List] = k.p.PID
	for _, s := range u.Sets {
		m := &format.SemaphoreUndo{Set: s.ID}
		for _, a := range s.Adjustments {
			m.Adjustments = append(m.Adjustments, int32(a))
		}
		k.found.Undo = append(k.found.Undo, m)
	}
}
