package restorer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/action"
	"lxc-checkpoint/internal/trip"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/restorer/tasks"
)

// letGo unmaps the restart's own memory, loads the registers, and detaches.
// Up to the first detach a failure still removes everything.
func (r *restart) letGo() error {
	rested := map[uint32]bool{} // tasks whose registers are loaded
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		for _, k := range p.Tasks {
			var err error
			if rested[k.Tid], err = r.rest(k); err != nil {
				return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
			}
			if err := r.faults(p, k); err != nil {
				return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
			}
		}
	}
	if err := trip.At("let them sleep on"); err != nil {
		return err
	}
	left := map[uint32]int{} // processes that still need their area
	for _, p := range r.plan.Skeleton.Processes {
		left[p.Mm]++
	}
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		left[p.Mm]--
		if err := r.clear(p, left[p.Mm] == 0); err != nil {
			return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
		}
	}
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		for _, k := range p.Tasks {
			if err := tasks.CPUs(r.tasks[k.Tid], k); err != nil {
				return fmt.Errorf("CPUs of task %d (%s): %w", k.Tid, k.Name, err)
			}
			if k.Ended {
				// It leaves by itself when it is let go.
				const exit = unix.SYS_EXIT
				if err := r.tasks[k.Tid].Thread.LoadCall(exit, uint64(unix.WaitStatus(k.WaitStatus).ExitStatus())); err != nil {
					return fmt.Errorf("end of task %d (%s): %w", k.Tid, k.Name, err)
				}
				continue
			}
			if err := r.load(r.tasks[k.Tid], k, rested[k.Tid]); err != nil {
				return fmt.Errorf("registers of task %d (%s): %w", k.Tid, k.Name, err)
			}
		}
	}
	if err := trip.At("load the registers"); err != nil {
		return err
	}
	for _, step := range []string{action.PostRestore, action.NetworkUnlock} {
		if err := r.at(step); err != nil {
			return err
		}
	}
	if err := r.listen(); err != nil {
		return err
	}
	if err := r.at(action.PreResume); err != nil {
		return err
	}
	if err := trip.At("let packets in"); err != nil {
		return err
	}
	if r.opts.Pause {
		if err := r.stage.Freeze(r.ctx, r.detach); err != nil {
			return err
		}
		return nil
	}
	if err := r.detach(); err != nil {
		return err
	}
	return r.stage.Running(r.ctx)
}

// clear makes the last calls from an instruction of the program itself: the
// area, its code included, goes.
func (r *restart) clear(p *format.Process, last bool) error {
	t := r.leaders[p.Pid]
	if err := t.Thread.Settle(r.ctx); err != nil {
		return err
	}
	trap := tasks.IgnoresTrap(r.plan.Skeleton.Sighand(p.Sighand))
	if trap == nil && !last {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.opts.Timeout)
	defer cancel()
	remote, err := t.Thread.Remote(ctx)
	if err != nil {
		return err
	}
	defer remote.Close()
	if trap != nil {
		addr, _ := t.Scratch()
		if err := t.WriteAction(addr, trap); err != nil {
			return err
		}
		if _, err := remote.Call(unix.SYS_RT_SIGACTION, uint64(unix.SIGTRAP), addr, 0, 8); err != nil {
			return err
		}
	}
	if last {
		start, size := t.Room()
		if _, err := remote.Call(unix.SYS_MUNMAP, start, size); err != nil {
			return fmt.Errorf("unmap the restart's own memory: %w", err)
		}
	}
	return remote.Close()
}

// faults queues a task's signals that no batch may come after.
func (r *restart) faults(p *format.Process, k *format.Task) (err error) {
	if !slices.ContainsFunc(k.Pending, tasks.IsFault) {
		return nil
	}
	t := r.tasks[k.Tid]
	if err := t.Thread.Settle(r.ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.opts.Timeout)
	defer cancel()
	remote, err := t.Thread.Remote(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remote.Close()) }()
	return tasks.Faults(t, remote, r.plan.Pids.ownNumber(p.Pid), r.plan.Pids.ownNumber(k.Tid), k)
}

// rest has a task go on with a call whose time is limited, from where it was; ok
// is false if its registers are still to be loaded. It needs the restart's own
// memory, and the kernel keeps what it gets here only until the task sleeps again.
func (r *restart) rest(k *format.Task) (ok bool, err error) {
	if k.Rest == nil || k.Rest.Kind == format.RestKind_REST_ARGUMENT {
		return false, nil
	}
	t := r.tasks[k.Tid]
	if err := r.loadRegisters(t, k); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.opts.Timeout)
	defer cancel()
	return tasks.Rest(ctx, t, t.Thread, k.Rest)
}

func (r *restart) loadRegisters(t *stub.Task, k *format.Task) error {
	sets, err := tasks.Registers(r.plan.Skeleton.Header, k)
	if err != nil {
		return err
	}
	return t.Thread.Load(sets)
}

func (r *restart) load(t *stub.Task, k *format.Task, rested bool) error {
	if err := tasks.Segments(t, k); err != nil {
		return err
	}
	if !rested {
		if err := r.loadRegisters(t, k); err != nil {
			return err
		}
	}
	if k.Rest != nil && k.Rest.Kind == format.RestKind_REST_ARGUMENT {
		// If it can't be, the call begins anew.
		if _, err := t.Thread.Shorten(int64(k.SystemCallPlusOne)-1, k.Rest.RemainingNs, k.Rest.Place); err != nil {
			return fmt.Errorf("go on with what remained of its call: %w", err)
		}
	}
	if q := k.Rseq; q != nil && q.Pointer != 0 && q.RseqCs != 0 {
		// The kernel cleared it when the stub ran outside the section.
		if err := t.WriteWord(q.Pointer+8, q.RseqCs); err != nil {
			return err
		}
	}
	connected := false
	if !rested {
		var err error
		if connected, err = r.connected(t, k); err != nil {
			return fmt.Errorf("result of connect: %w", err)
		}
	}
	if k.RestartCode != 0 && !rested && !connected {
		if err := t.Thread.Resume(int64(k.SystemCallPlusOne)-1, int(k.RestartCode)); err != nil {
			return err
		}
	}
	if err := tasks.Dispatch(t, k); err != nil {
		return err
	}
	if err := t.Thread.SetSignalMask(k.SignalMask); err != nil {
		return err
	}
	// Last of all: what the restart does itself must not hit one.
	if err := tasks.DebugRegisters(t, k.DebugRegisters); err != nil {
		return fmt.Errorf("debug registers: %w", err)
	}
	return nil
}

// stop stops those processes again that a signal had stopped, while no signal
// can reach their parents yet: a parent that had heard of the stop must not
// hear of it twice.
func (r *restart) stop() error {
	for _, p := range r.plan.Skeleton.Processes {
		if p.State != format.ProcessState_STOPPED {
			continue
		}
		threads := make([]*stub.Task, len(p.Tasks))
		for i, k := range p.Tasks {
			threads[i] = r.tasks[k.Tid]
		}
		if err := stub.Stop(threads, unix.Signal(p.StopSignal)); err != nil {
			return fmt.Errorf("stop process %d (%s) as it was: %w", p.Pid, name(p), err)
		}
		parent := r.leaders[p.Parent]
		if parent == nil || p.StopUnreported {
			continue
		}
		number, err := r.plan.Pids.as(p.Pid, p.Parent)
		if err != nil {
			return err
		}
		if _, err := parent.Call(unix.SYS_WAIT4, uint64(number), 0, unix.WUNTRACED|unix.WNOHANG|unix.WALL, 0); err != nil {
			return fmt.Errorf("have process %d hear of the stop of process %d: %w", p.Parent, p.Pid, err)
		}
	}
	return nil
}

// detach lets all tasks go, children before their parents. Those that are
// stopped by a signal stay so: they run no instruction.
func (r *restart) detach() error {
	r.gone = true
	first := r.detachEnded()
	r.space.FreezeCgroups()
	for i := len(r.plan.Skeleton.Processes) - 1; i >= 0; i-- {
		p := r.plan.Skeleton.Processes[i]
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		for _, k := range p.Tasks {
			if k.Ended {
				continue
			}
			if err := r.tasks[k.Tid].Thread.Detach(0); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

// detachEnded lets those go that end at once: first threads that had ended. No
// other task runs before they have, unless the cgroup is frozen, where the end
// is the first that happens after the thaw.
func (r *restart) detachEnded() error {
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE || !p.Tasks[0].Ended {
			continue
		}
		t := r.leaders[p.Pid]
		if err := t.Thread.Detach(0); err != nil {
			return err
		}
		if r.opts.Pause {
			continue
		}
		if err := t.AwaitEnd(); err != nil {
			return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
		}
	}
	return nil
}
