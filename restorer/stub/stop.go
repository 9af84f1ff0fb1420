package stub

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/tracee"
)

// Stop stops a process, given by all its threads, by a signal: a group stop,
// which its parent can wait for, and which lasts beyond the detach. The leader
// comes first and has run a batch before: it stands in the trap of that, from
// where any signal can be injected. The threads can still be made to run
// batches; calls that they make do not end the stop.
func Stop(threads []*Task, sig unix.Signal) error {
	switch sig {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
	default:
		return fmt.Errorf("signal %d (%s) stops nothing", sig, unix.SignalName(sig))
	}
	leader := threads[0].Thread
	if leader.Last().Kind != tracee.SignalStop {
		return errors.New("it does not stand in the trap of a batch")
	}
	// A blocked signal would be queued instead (ptrace_signal, kernel/signal.c).
	if err := leader.SetSignalMask(^(uint64(1) << (sig - 1))); err != nil {
		return err
	}
	if err := leader.Continue(sig); err != nil {
		return err
	}
	// The stop is complete when each thread has joined it, which it does
	// before it gets back to its program.
	for _, t := range threads[1:] {
		if err := t.Thread.Continue(0); err != nil {
			return err
		}
	}
	for _, t := range threads {
		if err := t.awaitGroupStop(); err != nil {
			return err
		}
	}
	return leader.SetSignalMask(^uint64(0))
}

func (p *Task) awaitGroupStop() error {
	ctx, cancel := p.limit()
	defer cancel()
	for {
		stop, err := p.Thread.Wait(ctx)
		if err != nil {
			return err
		}
		if stop.GroupStop {
			return nil
		}
		if stop.Gone() {
			return fmt.Errorf("task %d ended", p.PID())
		}
		if err := p.Thread.Continue(0); err != nil {
			return err
		}
	}
}
