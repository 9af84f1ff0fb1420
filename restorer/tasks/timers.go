package tasks

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// PosixTimers makes and starts the timers of timer_create(2) of a process.
type PosixTimers struct {
	Process *format.Process
	// Number is what a task is called in its own pid namespace.
	Number func(tid uint32) uint32
	// Task finds a task of it.
	Task func(tid uint32) place.Process
	// Pending are the signals queued to a task, or with shared to its process.
	Pending func(tid uint32, shared bool) ([][]byte, error)
	// Now are the clocks as the container sees them.
	Now func() (clocks.Times, error)
	// Then is the time of the day from which what remains is counted.
	Then int64
}

// Make makes the timers, with their ids. None of them runs.
func (m *PosixTimers) Make() error {
	if len(m.Process.PosixTimers) == 0 {
		return nil
	}
	leader := m.leader()
	choose := func(on uint64) error {
		_, err := leader.Call(unix.SYS_PRCTL, prTimerCreateRestoreIDs, on, 0, 0, 0)
		return err
	}
	chosen := choose(1) == nil
	ids := newIDs(leader)
	for _, t := range m.Process.PosixTimers {
		if !chosen {
			if err := ids.skipTo(t.Id); err != nil {
				return fmt.Errorf("timer %d: %w", t.Id, err)
			}
		}
		got, err := create(m.owner(t), t, m.Number)
		if err == nil && got != t.Id {
			err = fmt.Errorf("the kernel calls it %d", got)
		}
		if err != nil {
			return fmt.Errorf("make timer %d of clock %d: %w", t.Id, t.Clock, err)
		}
	}
	if chosen {
		return choose(0)
	}
	return nil
}

// prTimerCreateRestoreIDs is PR_TIMER_CREATE_RESTORE_IDS (Linux 6.15): the
// program says which id a timer gets.
const prTimerCreateRestoreIDs = 77

func (m *PosixTimers) leader() place.Process { return m.Task(m.Process.Pid) }

// owner is the task that makes a timer: it may be one of its own CPU time.
func (m *PosixTimers) owner(t *format.PosixTimer) place.Process {
	if t.Owner != 0 {
		return m.Task(t.Owner)
	}
	return m.leader()
}

// create makes a timer. Where the id can be chosen, it lies where the kernel
// will write it.
func create(p place.Process, t *format.PosixTimer, number func(tid uint32) uint32) (uint32, error) {
	const (
		size          = 64 // struct sigevent
		sigevThreadID = 4
		idAt          = size
	)
	b := make([]byte, size+8)
	le.PutUint64(b, t.Value)
	le.PutUint32(b[8:], t.Signal)
	le.PutUint32(b[12:], t.Notify)
	if t.Thread != 0 && t.Notify == 0 {
		le.PutUint32(b[12:], sigevThreadID)
		le.PutUint32(b[16:], number(t.Thread))
	}
	le.PutUint32(b[idAt:], t.Id)
	addr, _ := p.Scratch()
	if err := p.Write(addr, b); err != nil {
		return 0, err
	}
	if _, err := p.Call(unix.SYS_TIMER_CREATE, uint64(t.Clock), addr, addr+idAt); err != nil {
		return 0, err
	}
	err := p.Read(addr+idAt, b[:4])
	return le.Uint32(b), err
}

// ids makes the kernel count its timer ids up: it gives them in order (
// posix_timer_add, kernel/time/posix-timers.c).
type ids struct {
	p    place.Process
	next uint32
}

func newIDs(p place.Process) *ids { return &ids{p: p} }

// maxIDs is how far we count: that many pairs of calls take a few seconds.
const maxIDs = 1 << 24

func (c *ids) skipTo(id uint32) error {
	if id >= maxIDs {
		return fmt.Errorf("before Linux 6.15 an id above %d can't be chosen", maxIDs)
	}
	addr, _ := c.p.Scratch()
	for c.next < id {
		n := min(id-c.next, 256)
		calls := make([]tracee.Call, 0, 2*n)
		for i := range n {
			calls = append(calls,
				tracee.Call{Nr: unix.SYS_TIMER_CREATE, Args: [6]uint64{unix.CLOCK_MONOTONIC, 0, addr}},
				tracee.Call{Nr: unix.SYS_TIMER_DELETE, Args: [6]uint64{uint64(c.next + i)}})
		}
		if err := runAll(c.p, calls, func(i int) string { return fmt.Sprintf("count up to id %d", c.next+uint32(i/2)) }); err != nil {
			return err
		}
		c.next += n
	}
	c.next++ // the one that is made now
	return nil
}

// Overruns has timer_getoverrun(2) tell what it told, while no other signal is
// pending.
func (m *PosixTimers) Overruns() error {
	for _, t := range m.Process.PosixTimers {
		if !t.Armed || t.Fired {
			continue
		}
		now, err := m.Now()
		if err != nil {
			return err
		}
		if t.Absolute && m.Then+t.RemainingNs <= now.Realtime {
			// It expires when it is started, and its signal tells of the time
			// since as well: what the last one told is over.
			t.Overrun = 0
		}
		if err := m.overrun(t); err != nil {
			return fmt.Errorf("overruns of timer %d: %w", t.Id, err)
		}
	}
	return nil
}

// Start starts the timers that have not expired, with what remained, or for the
// time of the day that they stood at, which may be over.
func (m *PosixTimers) Start() error {
	for _, t := range m.Process.PosixTimers {
		if !t.Armed || t.Fired || hasOverrun(t) {
			continue
		}
		flags, value := uint64(0), t.RemainingNs
		if t.Absolute {
			flags, value = unix.TIMER_ABSTIME, m.Then+t.RemainingNs
		}
		if err := settime(m.leader(), t, flags, max(value, 1)); err != nil {
			return fmt.Errorf("start timer %d: %w", t.Id, err)
		}
	}
	return nil
}

// hasOverrun says whether a timer's last signal told of more than one expiry,
// and can be made to do so again.
func hasOverrun(t *format.PosixTimer) bool {
	_, known := clocks.Times{}.Of(t.Clock)
	return t.Overrun > 0 && t.IntervalNs > 0 && t.Notify != sigevNone && known
}

const sigevNone = 1

// overrun starts a timer so that it has expired as often as it had, and takes the
// signal of that: then timer_getoverrun(2) tells so again, and the timer goes on
// with what remained.
func (m *PosixTimers) overrun(t *format.PosixTimer) error {
	if !hasOverrun(t) {
		return nil
	}
	if err := m.fire(t, t.RemainingNs-int64(t.Overrun+1)*int64(t.IntervalNs)); err != nil {
		return err
	}
	taker := m.leader()
	if t.Thread != 0 {
		taker = m.Task(t.Thread)
	}
	addr, _ := taker.Scratch()
	b := le.AppendUint64(nil, 1<<(t.Signal-1))
	if err := taker.Write(addr, append(b, make([]byte, 16)...)); err != nil { // no time to wait
		return err
	}
	_, err := taker.Call(unix.SYS_RT_SIGTIMEDWAIT, addr, 0, addr+8, 8)
	return err
}

// fire has a timer expire, at a time in the past from now (of one that stands at a
// time of the day: from the checkpoint), and waits until its signal is pending.
func (m *PosixTimers) fire(t *format.PosixTimer, from int64) error {
	count := func() (n int, err error) {
		tid, shared := m.Process.Pid, t.Thread == 0
		if !shared {
			tid = t.Thread
		}
		infos, err := m.Pending(tid, shared)
		for _, i := range infos {
			if id, ok := format.TimerOf(i); ok && id == t.Id {
				n++
			}
		}
		return n, err
	}
	at := int64(1) // on a CPU clock
	now, err := m.Now()
	if err != nil {
		return err
	}
	if is, ok := now.Of(t.Clock); ok {
		if t.Absolute {
			is = m.Then
		}
		at = max(is+from, 1)
	}
	if err := settime(m.leader(), t, unix.TIMER_ABSTIME, at); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Microsecond) {
		if n, err := count(); err != nil || n > 0 {
			return err
		}
		if time.Now().After(end) {
			return errors.New("it does not expire")
		}
	}
}

func settime(p place.Process, t *format.PosixTimer, flags uint64, value int64) error {
	addr, _ := p.Scratch()
	if err := p.Write(addr, append(timespec(t.IntervalNs), timespec(uint64(value))...)); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_TIMER_SETTIME, uint64(t.Id), flags, addr, 0)
	return err
}

// Fire has the timer that a pending signal tells of expire, if it is one that
// the process still has; false if it is not.
func (m *PosixTimers) Fire(info []byte) (bool, error) {
	id, ok := format.TimerOf(info)
	if !ok {
		return false, nil
	}
	for _, t := range m.Process.PosixTimers {
		if t.Id == id && t.Fired && t.Signal == le.Uint32(info) {
			return true, m.fire(t, t.RemainingNs)
		}
	}
	return false, nil
}
