package tracee

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// StopKind says why a thread stopped.
type StopKind int

// The kinds of stops (ptrace(2)).
const (
	// EventStop: Interrupt's stop, a stop by SIGSTOP and its like (then
	// Stop.GroupStop is set), or the first stop of a new child or thread.
	EventStop StopKind = iota + 1
	// SignalStop: Stop.Signal is about to be delivered.
	SignalStop
	// SyscallStop: at the entry to or the exit from a system call.
	SyscallStop
	// CloneEvent: it made a child or thread; Stop.Message is its number.
	CloneEvent
	// Exited: gone, by exit(2), with Status.ExitStatus().
	Exited
	// Killed: gone, by Stop.Signal.
	Killed
	// OtherEvent: a PTRACE_EVENT_* that nobody asked for.
	OtherEvent
)

// String returns the kind as a word.
func (k StopKind) String() string {
	names := [...]string{"no stop", "event stop", "signal stop", "system call stop", "clone event", "exited", "killed", "other event"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("stop kind %d", int(k))
	}
	return names[k]
}

// Stop is what Wait returns.
type Stop struct {
	Kind      StopKind
	Signal    unix.Signal // of SignalStop, Killed and a group stop
	GroupStop bool
	Status    unix.WaitStatus
	Message   uint64
}

// Gone says whether the thread is no more.
func (s Stop) Gone() bool { return s.Kind == Exited || s.Kind == Killed }

// How Wait polls: so many times without a pause, then with pauses that double
// from the first to the longest.
const (
	waitSpins      = 200
	waitFirstPause = 20 * time.Microsecond
	waitPause      = time.Millisecond
)

// Wait waits until the thread stops or ends. When ctx ends first, the error
// names the task and what it waits in.
func (t *Thread) Wait(ctx context.Context) (Stop, error) {
	pause := waitFirstPause
	for i := 0; ; i++ {
		stop, ok, err := t.Poll()
		if err != nil || ok {
			return stop, err
		}
		if i < waitSpins {
			sys.SchedYield()
			continue
		}
		if err := ctx.Err(); err != nil {
			return Stop{}, &WaitError{TID: t.tid, Doing: doing(t.tid), Err: err}
		}
		ts := unix.NsecToTimespec(int64(pause))
		_ = unix.Nanosleep(&ts, nil) // woken early by a signal: it polls again
		pause = min(2*pause, waitPause)
	}
}

// WaitError is a task that did not stop in time.
type WaitError struct {
	TID   int
	Doing string // what it is in: "state D, waits in do_signal_stop"; may be empty
	Err   error
}

func (e *WaitError) Error() string {
	if e.Doing == "" {
		return fmt.Sprintf("task %d did not stop: %v", e.TID, e.Err)
	}
	return fmt.Sprintf("task %d (%s) did not stop: %v", e.TID, e.Doing, e.Err)
}

// Unwrap returns the context's error.
func (e *WaitError) Unwrap() error { return e.Err }

// Poll returns a stop that is there already; ok is false if there is none.
func (t *Thread) Poll() (stop Stop, ok bool, err error) {
	var ws unix.WaitStatus
	for {
		pid, err := unix.Wait4(t.tid, &ws, unix.WNOHANG|unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Stop{}, false, t.wrap("wait for", err)
		}
		if pid == 0 {
			return Stop{}, false, nil
		}
		stop, err := t.decode(ws)
		t.last, t.reason = stop, 0
		return stop, true, err
	}
}

func (t *Thread) decode(ws unix.WaitStatus) (Stop, error) {
	s := Stop{Status: ws}
	switch {
	case ws.Exited():
		s.Kind = Exited
		return s, nil
	case ws.Signaled():
		s.Kind, s.Signal = Killed, ws.Signal()
		return s, nil
	}
	sig := unix.Signal(uint32(ws) >> 8 & 0xff)
	switch event := uint32(ws) >> 16; {
	case event == unix.PTRACE_EVENT_STOP:
		s.Kind = EventStop
		switch sig {
		case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
			s.GroupStop, s.Signal = true, sig
		}
	case event == unix.PTRACE_EVENT_CLONE || event == unix.PTRACE_EVENT_FORK || event == unix.PTRACE_EVENT_VFORK:
		s.Kind = CloneEvent
		m, err := sys.PtraceEventMessage(t.tid)
		if err != nil {
			return s, t.wrap("read the event of", err)
		}
		s.Message = m
	case event != 0:
		s.Kind = OtherEvent
	case sig == unix.SIGTRAP|0x80:
		s.Kind = SyscallStop
	default:
		s.Kind, s.Signal = SignalStop, sig
	}
	return s, nil
}

// doing says in words what a task is in, for messages; "" if it can't be told.
func doing(tid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		return ""
	}
	name, rest := "", string(stat)
	if i, j := strings.IndexByte(rest, '('), strings.LastIndexByte(rest, ')'); 0 <= i && i < j {
		name, rest = rest[i+1:j], rest[j+1:]
	}
	state := ""
	if f := strings.Fields(rest); len(f) > 0 {
		state = f[0]
	}
	words := fmt.Sprintf("%s, state %s", name, state)
	if w, err := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", tid)); err == nil && len(w) > 0 && string(w) != "0" {
		words += ", waits in " + string(w)
	}
	return words
}
