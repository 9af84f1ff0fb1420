package tasks

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/tracee"
)

// posixTimers looks at the timers of timer_create(2). Which there are, a file
// tells; what remains of their time, only the process itself can ask for.
//
// Timers go on while the process stands still: one may expire any time. So the
// signals that are pending are read before, here, and after (firedTimers).
func (k *looking) posixTimers(ctx context.Context, t *tracee.Thread) error {
	timers, err := procfs.ReadTimers(k.p.PID)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(timers) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	slices.SortFunc(timers, func(a, b procfs.Timer) int { return cmp.Compare(a.ID, b.ID) })
	if k.firedBefore, err = k.expired(); err != nil {
		return err
	}
	for _, have := range timers {
		timer, err := k.posixTimer(have)
		if err != nil {
			return err
		}
		k.found.PosixTimers = append(k.found.PosixTimers, timer)
	}
	return k.asking(ctx, t, func(q *question) {
		for _, timer := range k.found.PosixTimers {
			q.remaining(timer, k.o.At)
			if timer.Armed {
				k.absolute(timer)
			}
		}
	})
}

// expired are the ids of the timers whose signals are pending now.
func (k *looking) expired() (map[uint32]bool, error) {
	ids := map[uint32]bool{}
	for i, t := range k.p.Threads {
		for _, shared := range []bool{true, false} {
			if shared && i > 0 {
				continue
			}
			infos, err := t.PendingSignals(shared)
			if err != nil {
				return nil, err
			}
			note(ids, infos)
		}
	}
	return ids, nil
}

func note(ids map[uint32]bool, infos [][]byte) {
	for _, i := range infos {
		if id, ok := format.TimerOf(i); ok {
			ids[id] = true
		}
	}
}

// posixTimer describes a timer, but for its time.
func (k *looking) posixTimer(have procfs.Timer) (*format.PosixTimer, error) {
	t := &format.PosixTimer{Id: have.ID, Clock: have.Clock, Signal: have.Signal, Value: have.Value}
	switch have.Notify {
	case "none":
		t.Notify = sigevNone
	case "thread":
		t.Notify = sigevThread
	}
	switch {
	case have.Thread == 0: // that has ended: nobody gets a signal
		t.Notify = sigevNone
	case have.Thread > 0:
		status, err := procfs.ReadStatus(have.Thread)
		if err != nil {
			return nil, err
		}
		t.Thread = uint32(k.inside(status.NSpid))
	}
	const ownThread = -2 // CLOCK_THREAD_CPUTIME_ID as the kernel keeps it (kernel/time/posix-cpu-timers.c)
	if have.Clock != ownThread && have.Clock != unix.CLOCK_THREAD_CPUTIME_ID {
		return t, nil
	}
	// Whose it is, the kernel does not tell. Mostly it is the one that it signals.
	t.Owner = t.Thread
	if t.Owner == 0 {
		t.Owner = k.found.Pid
		if len(k.p.Threads) > 1 {
			k.refuse(fmt.Sprintf("timer %d", have.ID), "POSIX timer", "it counts the CPU time of one of several threads, and the kernel does not tell of which",
				"make it with a clock of pthread_getcpuclockid(3)")
		}
	}
	return t, nil
}

// SIGEV_* (include/uapi/asm-generic/siginfo.h).
const (
	sigevNone   = 1
	sigevThread = 2
)

// remaining asks when a timer expires next, and how often it did unnoticed.
func (q *question) remaining(t *format.PosixTimer, at clocks.Times) {
	// struct itimerspec: interval, value; seconds and nanoseconds each.
	b := q.bytes(32, unix.SYS_TIMER_GETTIME, uint64(t.Id), q.scratch)
	ns := func(at int) uint64 {
		return binary.LittleEndian.Uint64(b[at:])*1e9 + binary.LittleEndian.Uint64(b[at+8:])
	}
	t.IntervalNs, t.RemainingNs = ns(0), int64(ns(16))
	t.Armed = t.RemainingNs != 0
	t.Overrun = uint32(q.call(unix.SYS_TIMER_GETOVERRUN, uint64(t.Id)))
	now, err := clocks.Now()
	if err != nil && q.err == nil {
		q.err = err
	}
	if then, ok := at.Of(t.Clock); ok && t.Armed {
		is, _ := now.Of(t.Clock)
		t.RemainingNs += is - then
	}
}

// absolute notes that a timer stands at a time of the day, if it does.
func (k *looking) absolute(t *format.PosixTimer) {
	if first := k.o.Facts[k.p.PID]; first != nil {
		at, is := first.AbsoluteTimers[t.Id]
		// One of SIGEV_NONE that has an interval was moved on when it was asked.
		if t.Absolute = is; is && (at > k.o.At.Realtime) != t.Fired {
			t.RemainingNs = at - k.o.At.Realtime
		}
	}
}

// firedTimers marks the timers whose signal is pending in what was found.
func (k *looking) firedTimers() {
	ids := map[uint32]bool{}
	note(ids, k.found.Pending)
	for _, t := range k.found.Tasks {
		note(ids, t.Pending)
	}
	for _, t := range k.found.PosixTimers {
		if t.Fired = ids[t.Id]; !t.Fired {
			continue
		}
		if k.firedBefore[t.Id] {
			// What it told is the next time after the one that it stands at.
			t.RemainingNs -= int64(t.IntervalNs)
		}
		t.Armed, t.RemainingNs = true, min(t.RemainingNs, 0)
		k.absolute(t)
	}
}
