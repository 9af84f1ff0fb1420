package tasks

import (
	"encoding/binary"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/ia32"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"

	"golang.org/x/sys/unix"
)

// actions keeps those signal actions that differ from the default without
// flags. The status file knows which are ignored or caught, but a default
// action has flags and a mask too, which sigaction(2) shows.
func actions(b []byte) []*format.SignalAction {
	var actions []*format.SignalAction
	for s := uint32(0); len(b) >= view.ActionSize; s, b = s+1, b[view.ActionSize:] {
		word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[i*8:]) }
		a := &format.SignalAction{Signal: s + 1, Handler: word(0), Flags: word(1) &^ immutable, Restorer: word(2), Mask: word(3)}
		if (a.Handler != 0 || a.Flags != 0 || a.Mask != 0) && !unchangeable(unix.Signal(s+1)) {
			actions = append(actions, a)
		}
	}
	return actions
}

// immutable is SA_IMMUTABLE (include/linux/signal_types.h), the kernel's own.
const immutable = 0x00800000

func unchangeable(s unix.Signal) bool { return s == unix.SIGKILL || s == unix.SIGSTOP }

// actions asks for all signal actions, as view.TaskFacts has them.
func (q *question) actions() []byte {
	for s := range uint64(64) {
		if !unchangeable(unix.Signal(s + 1)) {
			q.call(unix.SYS_RT_SIGACTION, s+1, 0, q.scratch+s*view.ActionSize, 8)
		}
	}
	b := make([]byte, 64*view.ActionSize)
	if q.err == nil {
		q.err = q.r.Read(q.scratch, b)
	}
	for _, s := range []unix.Signal{unix.SIGKILL, unix.SIGSTOP} { // not asked for
		clear(b[int(s-1)*view.ActionSize:][:view.ActionSize])
	}
	if q.r.Narrow() {
		narrowActions(b)
	}
	return b
}

// narrowActions notes that 32-bit code has set the actions, which the kernel keeps
// but does not tell; its eBPF programs see it. Who runs 32-bit code set them so.
func narrowActions(b []byte) {
	for ; len(b) >= view.ActionSize; b = b[view.ActionSize:] {
		handler, flags := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		if handler != 0 || flags != 0 {
			binary.LittleEndian.PutUint64(b[8:], flags|ia32.SigactionABI)
		}
	}
}

// SS_* of sigaltstack(2), as the kernel has them.
const (
	ssOnstack = 1
)

// alternateStack asks for the alternate signal stack. That the task is on it
// just now is in its stack pointer.
func (q *question) alternateStack() view.AlternateStack {
	// stack_t: pointer, flags (4 bytes, padded), size.
	b := q.bytes(24, unix.SYS_SIGALTSTACK, 0, q.scratch)
	return view.AlternateStack{
		Pointer: binary.LittleEndian.Uint64(b),
		Flags:   binary.LittleEndian.Uint32(b[8:]) &^ ssOnstack,
		Size:    binary.LittleEndian.Uint64(b[16:]),
	}
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
		t := &format.IntervalTimer{Which: which, IntervalUs: us(0), ValueUs: us(16)}
		if t.ValueUs == 0 {
			// One that has fired stands still until its signal is taken
			// (dequeue_signal, kernel/signal.c), and then goes on.
			t.ValueUs = t.IntervalUs
		}
		if t.ValueUs != 0 {
			timers = append(timers, t)
		}
	}
	return timers
}

// pending reads the signals that wait, of the task and, with its leader, of the
// process. status was read before: what came meanwhile is queued.
func (k *looking) pending(t *tracee.Thread, f *format.Task, status *procfs.TaskStatus, leader bool) (err error) {
	if f.Pending, err = t.PendingSignals(false); err != nil {
		return err
	}
	f.Pending = append(f.Pending, bare(status.SigPnd, f.Pending)...)
	if !leader {
		return nil
	}
	if k.found.Pending, err = t.PendingSignals(true); err != nil {
		return err
	}
	k.found.Pending = append(k.found.Pending, bare(status.ShdPnd, k.found.Pending)...)
	return nil
}

// bare makes up what is not queued of the signals that wait: over its limit
// (RLIMIT_SIGPENDING) the kernel only marks them, and says that they come from
// nobody (collect_signal, kernel/signal.c).
func bare(set uint64, queued [][]byte) (infos [][]byte) {
	for _, i := range queued {
		if s := binary.LittleEndian.Uint32(i); s >= 1 && s <= 64 {
			set &^= 1 << (s - 1)
		}
	}
	for s := uint32(1); s <= 64; s++ {
		if set&(1<<(s-1)) != 0 {
			infos = append(infos, binary.LittleEndian.AppendUint32(nil, s)) // si_code SI_USER is 0
			infos[len(infos)-1] = append(infos[len(infos)-1], make([]byte, sys.SiginfoSize-4)...)
		}
	}
	return infos
}
