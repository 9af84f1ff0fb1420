package memory

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// Undo gives processes what they have to undo with semaphores when they end. An
// adjustment comes about by an operation of the process itself, which changes
// the semaphore, too; so all begin in the middle of what a semaphore can be, and
// get their values at last by operations that leave no trace (SETALL would
// forget all adjustments).
func Undo(s *format.Skeleton, in func(namespace uint32, f func() error) error, of func(*format.Process) place.Process) error {
	for _, n := range s.Namespaces {
		if len(n.Ipc.GetSemaphores()) == 0 {
			continue
		}
		u := undoing{sets: map[uint32]*undoSet{}}
		for _, m := range n.Ipc.Semaphores {
			u.sets[m.Permissions.Id] = &undoSet{SysvSemaphores: m, now: make([]int32, len(m.Values))}
		}
		for _, p := range s.Processes {
			if len(p.Undo) > 0 && s.IPCNamespaceOf(p.Namespaces) == n {
				u.processes = append(u.processes, p)
			}
		}
		if len(u.processes) == 0 {
			continue
		}
		if err := in(n.Id, u.begin); err != nil {
			return err
		}
		for _, p := range u.processes {
			if err := u.adjust(p, of(p)); err != nil {
				return err
			}
		}
		if err := in(n.Id, u.settle); err != nil {
			return err
		}
	}
	return nil
}

// undoing is what processes have to undo in an IPC namespace.
type undoing struct {
	processes []*format.Process
	sets      map[uint32]*undoSet
}

type undoSet struct {
	*format.SysvSemaphores
	now  []int32 // values
	used bool
}

// begin puts all semaphores that somebody has to undo something with into the middle.
func (u *undoing) begin() error {
	const middle = 16384
	for _, p := range u.processes {
		for _, m := range p.Undo {
			u.sets[m.Set].used = true
		}
	}
	for id, set := range u.sets {
		if !set.used {
			continue
		}
		values := make([]uint16, len(set.now))
		for i := range values {
			values[i], set.now[i] = middle, middle
		}
		if err := sys.SemSetAll(int(id), values); err != nil {
			return fmt.Errorf("semaphores %d: %w", id, err)
		}
	}
	return nil
}

// adjust has a process make the operations that are to be undone.
func (u *undoing) adjust(p *format.Process, t place.Process) error {
	for _, m := range p.Undo {
		now := u.sets[m.Set].now
		for i, a := range m.Adjustments {
			if v := now[i] - a; v < 0 || v > 32767 {
				return fmt.Errorf("semaphore %d of set %d: processes have more to undo than can be made again", i, m.Set)
			}
			now[i] -= a
		}
		if err := adjust(t, m); err != nil {
			return fmt.Errorf("process %d, what it has to undo with semaphores %d: %w", p.Pid, m.Set, err)
		}
	}
	return nil
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

// settle gives semaphores their values without a trace in any process's list.
func (u *undoing) settle() error {
	for id, set := range u.sets {
		if !set.used {
			continue
		}
		for i, v := range set.Values {
			change := int(v) - int(set.now[i])
			if change == 0 {
				continue
			}
			if err := sys.SemOp(int(id), sys.AppendSemOp(nil, i, change, unix.IPC_NOWAIT)); err != nil {
				return fmt.Errorf("semaphore %d of set %d: %w", i, id, err)
			}
		}
	}
	return nil
}
