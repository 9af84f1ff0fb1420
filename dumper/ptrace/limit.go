package ptrace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/tracee"
)

// Sleeps tells until when tasks would have slept that our stop interrupts.
type Sleeps interface {
	WatchSleeps()
	UnwatchSleeps()
	// Deadline is that of a task which was interrupted after a time, both by
	// CLOCK_MONOTONIC, and where it wants the frames of signal handlers. A deadline is
	// told once.
	Deadline(tid int, after int64) (deadline uint64, stack tracee.Stack, ok bool)
}

// Limit is that to the time of a call which we have interrupted, and of which nobody
// but us knows what remained.
type Limit struct {
	Call     int64
	Deadline uint64 // by CLOCK_MONOTONIC
	Place    uint64 // where what remains can be put (tracee.Thread.CanShorten)
}

// Left is what remains at a time by the same clock, in nanoseconds; at least one.
func (l Limit) Left(now int64) uint64 {
	if l.Deadline <= uint64(now) {
		return 1
	}
	return l.Deadline - uint64(now)
}

// watch begins to watch sleeps end; what they are worth counts from interrupting on.
func (h *Held) watch() {
	if h.sleeps != nil {
		h.sleeps.WatchSleeps()
	}
}

func (h *Held) unwatch() {
	if h.sleeps != nil {
		h.sleeps.UnwatchSleeps()
	}
}

// interrupting notes when the tasks begin to be interrupted: a sleep that ended before
// that was ended by something else. Should an event end one just after it, and our stop
// come when the task has entered its next call and does not sleep there yet, which
// takes it 0.1 µs, then that call gets what remained of the one before.
func (h *Held) interrupting() error {
	now, err := clocks.Now()
	h.since = now.Monotonic
	return err
}

// remember notes what remains of the call that a task was interrupted in, if nobody
// else does, and if it can go on with that.
func (h *Held) remember(t *task) error {
	if h.sleeps == nil {
		return nil
	}
	call, forgets, err := t.Forgets()
	if err != nil || !forgets {
		return err
	}
	deadline, stack, ok := h.sleeps.Deadline(t.TID(), h.since)
	if !ok {
		return nil
	}
	place, ok, err := t.CanShorten(stack)
	if err == nil && ok {
		t.limit = &Limit{Call: call, Deadline: deadline, Place: place}
	}
	return err
}

// shorten has a task that is let go wait for what remains.
func (t *task) shorten() error {
	if t.limit == nil {
		return nil
	}
	now, err := clocks.Now()
	if err != nil {
		return err
	}
	_, err = t.Shorten(t.limit.Call, t.limit.Left(now.Monotonic), t.limit.Place)
	t.limit = nil
	if errors.Is(err, unix.ESRCH) { // killed meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("task %d: go on with what remained of its call: %w", t.TID(), err)
	}
	return nil
}

// Limits are those of all tasks, by their number on the host.
func (h *Held) Limits() map[int]Limit {
	all := map[int]Limit{}
	for tid, t := range h.tasks {
		if t.limit != nil {
			all[tid] = *t.limit
		}
	}
	return all
}
