package dumper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/ptrace"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/tracee"
)

// askUndo finds out what processes have to undo with semaphores when no eBPF
// tells it: it has each try operations of which the last always fails, and from
// how they fail follows what the process has to undo. The kernel takes all of a
// call's operations back if one fails (perform_atomic_semop_slow, ipc/sem.c), and
// with IPC_NOWAIT none sleeps.
func (l *looking) askUndo() error {
	if !slices.ContainsFunc(l.skeleton.Namespaces, func(n *format.Namespace) bool { return len(n.Ipc.GetSemaphores()) > 0 }) {
		return nil
	}
	return l.held.Do(func() error {
		lists := view.NewClasses(sys.KcmpSysvsem, &view.IDs{})
		list := map[int]uint32{} // by task; all before any is asked, which may give it one
		for _, p := range l.held.Processes() {
			for _, t := range p.Threads {
				id, _, err := lists.Of(t.TID(), 0)
				if err != nil {
					return err
				}
				list[t.TID()] = id
			}
		}
		owner := map[uint32]int{}
		for i, p := range l.held.Processes() {
			if err := l.askProcessUndo(i, p, list, owner); err != nil {
				return fmt.Errorf("process %d (%s): ask what it has to undo with semaphores: %w", l.found[i].Pid, p.Command, err)
			}
		}
		return nil
	})
}

// askProcessUndo asks a thread for each list that the i-th process has; owner has
// the processes whose lists are not empty.
func (l *looking) askProcessUndo(i int, p *ptrace.Process, list map[int]uint32, owner map[uint32]int) error {
	asked := map[uint32]bool{}
	ended := len(l.found[i].Tasks) - len(p.Threads) // 1: the leader has
	for n, t := range p.Threads {
		id := list[t.TID()]
		if asked[id] {
			continue
		}
		asked[id] = true
		in := l.skeleton.IPCNamespaceOf(l.found[i].Namespaces)
		if own := l.skeleton.IPCNamespaceOf(l.found[i].Tasks[ended+n].Namespaces); own != nil {
			in = own
		}
		undo, err := l.askThreadUndo(t, in.GetIpc().GetSemaphores())
		if err != nil {
			return err
		}
		if len(undo) == 0 {
			continue
		}
		reason := ""
		switch _, known := owner[id]; {
		case known:
			reason = "it shares what is to be undone at its end with another process (CLONE_SYSVSEM)"
		case n > 0 || p.LeaderEnded:
			reason = "a thread has a list of its own of what is to be undone at its end"
		}
		if reason != "" {
			l.refuse(refusal.List{{
				PID: int(l.found[i].Pid), Command: p.Command, Kind: "System V semaphores",
				Reason: reason, Remedy: "let it release the semaphores that it took with SEM_UNDO",
			}})
			continue
		}
		owner[id] = i
		l.found[i].Undo = undo
	}
	return nil
}

func (l *looking) askThreadUndo(t *tracee.Thread, sets []*format.SysvSemaphores) (undo []*format.SemaphoreUndo, err error) {
	r, err := t.Remote(l.ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, s := range sets {
		const most = 32 // of which the image has room; see cutUndo
		m := &format.SemaphoreUndo{Set: s.Permissions.Id, Adjustments: make([]int32, min(len(s.Values), most))}
		some := false
		for number, value := range s.Values {
			a, err := adjustment(r, s.Permissions.Id, number, int(value))
			if errors.Is(err, unix.EACCES) {
				l.o.Log.Warn("without eBPF, nothing tells what a process has to undo with semaphores that it may not change any more: a restart will not", "task", t.TID(), "set", s.Permissions.Id)
				break
			}
			if err != nil {
				return nil, fmt.Errorf("semaphore %d of set %d: %w", number, s.Permissions.Id, err)
			}
			some = some || a != 0
			if number < most {
				m.Adjustments[number] = int32(a)
			}
		}
		if some {
			undo = append(undo, m)
		}
	}
	return undo, nil
}

// leastUndo is the least adjustment that a semaphore can have: -SEMAEM-1.
const leastUndo = -32768

// adjustment is what a thread's process has to add to a semaphore when it ends:
// it can be lowered by so much that leastUndo is left.
func adjustment(r *tracee.Remote, set uint32, number, value int) (int, error) {
	// Mostly there is nothing.
	none, err := canLower(r, set, number, value, -leastUndo)
	if err != nil {
		return 0, err
	}
	more, err := canLower(r, set, number, value, -leastUndo+1)
	if err != nil || none && !more {
		return 0, err
	}
	n := sort.Search(1<<16, func(by int) bool { // the first that is too much
		if err != nil {
			return false
		}
		can, e := canLower(r, set, number, value, by+1)
		err = e
		return !can
	})
	return n + leastUndo, err
}

// canLower tries whether an adjustment can be lowered: a value is added with
// SEM_UNDO and taken without, in steps in which the semaphore stays what one can be.
func canLower(r *tracee.Remote, set uint32, number, value, by int) (bool, error) {
	const step, highest, semUndo, size = 16000, 32767, 0x1000, 6
	var ops []byte
	op := func(value, flags int) {
		for _, field := range []int{number, value, flags} { // struct sembuf
			ops = binary.NativeEndian.AppendUint16(ops, uint16(field))
		}
	}
	for left := by; left > 0; left -= step {
		n := min(left, step)
		if value+n <= highest {
			op(n, semUndo)
			op(-n, 0)
		} else {
			op(-n, 0)
			op(n, semUndo)
		}
	}
	op(-highest-1, unix.IPC_NOWAIT) // more than any semaphore has
	addr, err := r.Scratch(len(ops))
	if err != nil {
		return false, err
	}
	if err := r.Write(addr, ops); err != nil {
		return false, err
	}
	switch _, err := r.Call(unix.SYS_SEMOP, uint64(set), addr, uint64(len(ops)/size)); {
	case errors.Is(err, unix.EAGAIN):
		return true, nil
	case errors.Is(err, unix.ERANGE):
		return false, nil
	case err == nil:
		return false, errors.New("it has done what no semaphore can")
	default:
		return false, err
	}
}
