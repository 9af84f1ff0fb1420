package stub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/tracee"
)

// Fork makes a task with clone3(2) and the numbers that it is to have, in the
// innermost pid namespace of those that it becomes a member of first; in others,
// or without any, the kernel chooses.
//
// A zombie that nobody has waited for yet can hold the number a little longer
// (EEXIST): it is tried again for some seconds.
func (p *Task) Fork(flags uint64, exitSignal int, tids ...uint32) (*Task, error) {
	const size = 88 // struct clone_args up to cgroup
	addr, _ := p.Scratch()
	le := binary.LittleEndian
	b := make([]byte, size, size+4*len(tids))
	le.PutUint64(b[0:], flags)
	le.PutUint64(b[32:], uint64(exitSignal))
	if len(tids) > 0 {
		le.PutUint64(b[64:], addr+size) // set_tid
		le.PutUint64(b[72:], uint64(len(tids)))
		for _, tid := range tids {
			b = le.AppendUint32(b, tid)
		}
	}

	deadline := time.Now().Add(5 * time.Second)
	for {
		if err := p.Write(addr, b); err != nil {
			return nil, err
		}
		calls := []tracee.Call{{Nr: unix.SYS_CLONE3, Args: [6]uint64{addr, size}}}
		child, err := p.run(calls)
		if err != nil {
			return nil, err
		}
		err = calls[0].Err()
		if err == nil {
			return p.adopt(child)
		}
		if !errors.Is(err, unix.EEXIST) || time.Now().After(deadline) {
			return nil, forkError(tids, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func forkError(tids []uint32, err error) error {
	tid := uint32(0)
	if len(tids) > 0 {
		tid = tids[len(tids)-1]
	}
	switch {
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("make task %d: another process on this host has that number; end it, or restart the container in a pid namespace of its own: %w", tid, err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("make task %d: choosing its number needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the container (do not drop it in the config): %w", tid, err)
	case errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("make task %d: too many processes (raise pids.max of the container's cgroup, or the user's process limit): %w", tid, err)
	}
	return fmt.Errorf("make task %d: clone3: %w", tid, err)
}

// adopt waits for the first stop of a task that a batch has made, before it
// ran anything of its own.
func (p *Task) adopt(tid int) (*Task, error) {
	if tid == 0 {
		return nil, fmt.Errorf("the kernel did not tell the number of a new task of %d", p.PID())
	}
	t := tracee.Attached(tid)
	ctx, cancel := p.limit()
	defer cancel()
	stop, err := t.Wait(ctx)
	if err != nil {
		return nil, err
	}
	if stop.Kind != tracee.EventStop {
		return nil, fmt.Errorf("new task %d did not stop as expected (%v)", tid, stop)
	}
	return &Task{Family: p.Family, Thread: t}, nil
}

// End kills a process that was needed only for a while and waits, as its
// parent, for it. pid is its number in the container.
func (p *Task) End(parent *Task, pid int) error {
	if err := p.Kill(); err != nil {
		return err
	}
	return parent.Reap(pid)
}

// Kill kills the process and takes the tracer's share of its end.
func (p *Task) Kill() error {
	ctx, cancel := p.limit()
	defer cancel()
	if err := unix.Kill(p.PID(), unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return p.waitEnd(ctx)
}

func (p *Task) waitEnd(ctx context.Context) error {
	for {
		stop, err := p.Thread.Wait(ctx)
		if errors.Is(err, unix.ECHILD) || errors.Is(err, unix.ESRCH) {
			return nil
		}
		if err != nil {
			return err
		}
		if stop.Kind == tracee.Exited || stop.Kind == tracee.Killed {
			return nil
		}
		if err := p.Thread.Continue(0); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
}

// Reap waits for a child that has ended: wait4 in the task.
func (p *Task) Reap(pid int) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		got, err := p.Call(unix.SYS_WAIT4, uint64(pid), 0, unix.WNOHANG|unix.WALL, 0)
		if err != nil {
			return fmt.Errorf("wait for helper process %d: %w", pid, err)
		}
		if int(got) == pid {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("helper process %d does not end", pid)
		}
		time.Sleep(time.Millisecond)
	}
}
