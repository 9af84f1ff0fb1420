package memory

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// Undo gives processes what they have to undo with semaphores when they end. An
// adjustment comes about by an operation of the process itself, which changes
// the semaphore, too; so all begin in the middle of what a semaphore can be, and
// get their values at last by operations that leave no trace (SETALL would
// forget all adjustments).
func Undo(s *format.Skeleton, root place.Process, of func(*format.Process) place.Process) error {
	const middle = 16384
	now := map[uint32][]int32{} // values, by set
	for _, n := range s.Namespaces {
		for _, m := range n.Ipc.GetSemaphores() {
			now[m.Permissions.Id] = make([]int32, len(m.Values))
		}
	}
	used := map[uint32]bool{}
	for _, p := range s.Processes {
		for _, u := range p.Undo {
			used[u.Set] = true
		}
	}
	if len(used) == 0 {
		return nil
	}
	inside := func(do func() error) error {
		return elsewhere.InIPC(root.PID(), do)
	}
	err := inside(func() error {
		for id := range used {
			values := make([]uint16, len(now[id]))
			for i := range values {
				values[i], now[id][i] = middle, middle
			}
			if err := sys.SemSetAll(int(id), values); err != nil {
				return fmt.Errorf("semaphores %d: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range s.Processes {
		for _, u := range p.Undo {
			for i, a := range u.Adjustments {
				if v := now[u.Set][i] - a; v < 0 || v > 32767 {
					return fmt.Errorf("semaphore %d of set %d: processes have more to undo than can be made again", i, u.Set)
				}
				now[u.Set][i] -= a
			}
			if err := adjust(of(p), u); err != nil {
				return fmt.Errorf("process %d, what it has to undo with semaphores %d: %w", p.Pid, u.Set, err)
			}
		}
	}
	return inside(func() error { return settleSemaphores(s, used, now) })
}

// adjust makes the operations that are to be undone.
func adjust(p place.Process, u *format.SemaphoreUndo) error {
	var operations []byte
	for i, a := range u.Adjustments {
		if a != 0 {
			operations = sys.AppendSemOp(operations, i, -int(a), sys.SemUndo|unix.IPC_NOWAIT)
		}
	}
	if len(operations) == 0 {
		return nil
	}
	addr, _ := p.Scratch()
	if err := p.Write(addr, operations); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_SEMTIMEDOP, uint64(u.Set), addr, uint64(len(operations)/sys.SemOpSize), 0)
	return err
}

// settleSemaphores gives semaphores their values without a trace in any
// process's list.
func settleSemaphores(s *format.Skeleton, used map[uint32]bool, now map[uint32][]int32) error {
	for _, n := range s.Namespaces {
		for _, m := range n.Ipc.GetSemaphores() {
			id := m.Permissions.Id
			if !used[id] {
				continue
			}
			for i, v := range m.Values {
				change := int(v) - int(now[id][i])
				if change == 0 {
					continue
				}
				if err := sys.SemOp(int(id), sys.AppendSemOp(nil, i, change, unix.IPC_NOWAIT)); err != nil {
					return fmt.Errorf("semaphore %d of set %d: %w", i, id, err)
				}
			}
		}
	}
	return nil
}
