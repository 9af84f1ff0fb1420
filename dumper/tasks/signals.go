package tasks

import (
	"encoding/binary"

	"lxc-checkpoint/image/format"

	"golang.org/x/sys/unix"
)

// actionSize is sizeof(struct sigaction) of the kernel: handler, flags,
// restorer, mask (include/linux/signal_types.h), on amd64 and arm64.
const actionSize = 32

// actions asks for all signal actions and keeps those that differ from the
// default without flags. The status file knows which are ignored or caught, but
// a default action has flags and a mask too, which sigaction(2) shows.
func (q *question) actions() []*format.SignalAction {
	want := ^(bit(unix.SIGKILL) | bit(unix.SIGSTOP))
	for s := range uint64(64) {
		if want&(1<<s) != 0 {
			q.call(unix.SYS_RT_SIGACTION, s+1, 0, q.scratch+s*actionSize, 8)
		}
	}
	b := make([]byte, 64*actionSize)
	if q.err == nil {
		q.err = q.r.Read(q.scratch, b)
	}
	if q.err != nil {
		return nil
	}
	var actions []*format.SignalAction
	for s := range uint32(64) {
		if want&(1<<s) == 0 {
			continue
		}
		word := func(i uint32) uint64 { return binary.LittleEndian.Uint64(b[s*actionSize+i*8:]) }
		a := &format.SignalAction{Signal: s + 1, Handler: word(0), Flags: word(1), Restorer: word(2), Mask: word(3)}
		if a.Handler != 0 || a.Flags != 0 || a.Mask != 0 {
			actions = append(actions, a)
		}
	}
	return actions
}

func bit(s unix.Signal) uint64 { return 1 << (s - 1) }

// SS_* of sigaltstack(2), as the kernel has them.
const (
	ssOnstack = 1
)

// alternateStack asks for the alternate signal stack; nil if it has none. That
// the task is on it just now is in its stack pointer.
func (q *question) alternateStack() *format.AlternateStack {
	// stack_t: pointer, flags (4 bytes, padded), size.
	b := q.bytes(24, unix.SYS_SIGALTSTACK, 0, q.scratch)
	if q.err != nil {
		return nil
	}
	s := &format.AlternateStack{
		Pointer: binary.LittleEndian.Uint64(b),
		Flags:   binary.LittleEndian.Uint32(b[8:]) &^ ssOnstack,
		Size:    binary.LittleEndian.Uint64(b[16:]),
	}
	return s
}

// timers asks for the interval timers that run.
func (q *question) timers() []*format.IntervalTimer {
	var timers []*format.IntervalTimer
	for which := range uint32(3) {
		// struct itimerval: interval, value; seconds and microseconds each.
		b := q.bytes(32, unix.SYS_GETITIMER, uint64(which), q.scratch)
		us := func(at int) uint64 {
			return binary.LittleEndian.Uint64(b[at:])*1e6 + binary.LittleEndian.Uint64(b[at+8:])
		}
		if t := (&format.IntervalTimer{Which: which, IntervalUs: us(0), ValueUs: us(16)}); t.ValueUs != 0 {
			timers = append(timers, t)
		}
	}
	return timers
}
