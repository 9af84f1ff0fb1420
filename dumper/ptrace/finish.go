package ptrace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lxc-checkpoint/container"
	"lxc-checkpoint/tracee"

	"golang.org/x/sys/unix"
)

// After says what becomes of the container after the checkpoint.
type After int

const (
	// Thaw: it goes on, or stays frozen if it was frozen before.
	Thaw After = iota
	// Kill ends every process of it.
	Kill
	// Pause leaves it frozen, as lxc-freeze does.
	Pause
)

// Finish ends the hold. When it fails, Release, which has to be called in any
// case, does the best that is left.
func (h *Held) Finish(ctx context.Context, after After) (err error) {
	ctx, cancel := h.limit(ctx)
	defer cancel()
	switch after {
	case Kill:
		err = h.kill(ctx)
	case Pause:
		err = h.pause(ctx)
	default:
		if h.wasFrozen {
			// Detached from a frozen cgroup, no task executes an instruction.
			err = h.container.Freezer.Freeze(ctx)
		}
		if err == nil {
			err = h.letGo(ctx)
		}
	}
	h.finished = err == nil
	return err
}

// pause does what lxc-freeze does, LXC's monitor included.
func (h *Held) pause(ctx context.Context) error {
	h.announced = true
	if err := h.container.Announce(ctx, container.Freezing); err != nil {
		return err
	}
	if err := h.container.Freezer.Freeze(ctx); err != nil {
		return err
	}
	if err := h.letGo(ctx); err != nil {
		return err
	}
	return h.container.Announce(ctx, container.Frozen)
}

// Release undoes what Finish did not: the container goes on as it was before,
// frozen if it was. It is meant to be deferred, works on every path, panics
// and ended contexts included, and joins what goes wrong to *err.
func (h *Held) Release(err *error) {
	// Ends the tracing thread: the kernel then detaches whatever is left, such
	// as tasks that have not stopped yet.
	defer h.worker.stop()
	if h.finished {
		return
	}
	h.finished = true
	ctx, cancel := h.limit(context.Background())
	defer cancel()
	var e error
	if h.wasFrozen {
		e = h.container.Freezer.Freeze(ctx)
	} else {
		e = h.thaw(ctx)
	}
	if e != nil {
		*err = errors.Join(*err, fmt.Errorf("letting go of %s: %w", h.named(), e))
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = h.letGo(short)
}

// letGo detaches every task; the ones that have not stopped yet as soon as
// they do.
func (h *Held) letGo(ctx context.Context) error {
	return h.worker.do(func() error {
		for {
			if err := h.detachStopped(); err != nil {
				return err
			}
			if len(h.tasks) == 0 {
				return nil
			}
			if err := ctx.Err(); err != nil {
				for _, t := range h.tasks {
					return fmt.Errorf("process %d (%s): task %d never stopped: %w; it goes on when this program ends", t.pid, commandOf(t.pid), t.TID(), err)
				}
			}
			time.Sleep(100 * time.Microsecond)
		}
	})
}

// detachStopped detaches the tasks that stand in a stop now.
func (h *Held) detachStopped() error {
	for tid, t := range h.tasks {
		done, err := t.letGo()
		if err != nil {
			return err
		}
		if done {
			delete(h.tasks, tid)
		}
	}
	return nil
}

// letGo detaches one task if it stands in a stop; done if it is no more ours.
func (t *task) letGo() (done bool, err error) {
	if t.Thread == nil { // was never attached
		return true, nil
	}
	if !t.stopped {
		stop, ok, err := t.Poll()
		if errors.Is(err, unix.ECHILD) || ok && stop.Gone() {
			return true, nil
		}
		if err != nil || !ok {
			return false, err
		}
	}
	if err := t.shorten(); err != nil {
		return false, err
	}
	var sig unix.Signal
	if s := t.Last(); s.Kind == tracee.SignalStop {
		sig = s.Signal
	}
	err = t.Detach(sig)
	if errors.Is(err, unix.ESRCH) {
		// It was not stopped after all: a signal killed it, or a call that we
		// made in it was cut short. Its next stop, or its end, will come.
		t.stopped = false
		return false, nil
	}
	return err == nil, err
}

// kill ends every process. The first is that of the pid namespace: with it the
// kernel kills all others there, so that nothing is half-killed even if we die
// in between. Without a pid namespace cgroup.kill does the same where there is
// one (v2, Linux 5.14).
func (h *Held) kill(ctx context.Context) error {
	if err := h.worker.do(func() error { return h.forget(ctx) }); err != nil {
		return err
	}
	if f, err := os.OpenFile(filepath.Join(h.container.CgroupDir, "cgroup.kill"), os.O_WRONLY, 0); err == nil {
		_, _ = f.WriteString("1")
		f.Close()
	}
	for _, p := range h.processes { // the root is the first
		if err := unix.Kill(p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d (%s): %w", p.PID, p.Command, err)
		}
	}
	if err := h.worker.do(func() error { return h.reap(ctx) }); err != nil {
		return err
	}
	// So that what comes next, an lxc-restart for example, finds it stopped.
	return h.container.AwaitStopped(ctx)
}

// reap waits until every task is gone. As their tracer we have to collect each
// one; in which order they end is not ours to say (a leader ends after its
// threads, the first process of a pid namespace after all others).
func (h *Held) reap(ctx context.Context) error {
	for {
		for tid, t := range h.tasks {
			stop, ok, err := t.Poll()
			switch {
			case errors.Is(err, unix.ECHILD) || ok && stop.Gone():
				delete(h.tasks, tid)
			case err != nil:
				return err
			case ok: // a stop on the way
				if err := t.Continue(0); err != nil && !errors.Is(err, unix.ESRCH) {
					return err
				}
			}
		}
		if len(h.tasks) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			for _, t := range h.tasks {
				return fmt.Errorf("process %d (%s) was killed and has not ended: %w%s", t.pid, commandOf(t.pid), err, uncollected())
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
}
