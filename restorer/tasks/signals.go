package tasks

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// Flush takes away signals that the building itself has caused (SIGCHLD of
// helpers, SIGHUP of a terminal that changed hands).
func Flush(p place.Process) error {
	addr, _ := p.Scratch()
	b := make([]byte, 24) // a full set, and a timeout of 0
	le.PutUint64(b, ^uint64(0))
	if err := p.Write(addr, b); err != nil {
		return err
	}
	for range 1000 {
		_, err := p.Call(unix.SYS_RT_SIGTIMEDWAIT, addr, 0, addr+8, 8)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return fmt.Errorf("task %d gets more and more signals while it is being built; who sends them?", p.PID())
}

// siginfoSize is the size of siginfo_t.
const siginfoSize = 128

// Pending queues a thread's own pending signals again. All signals are blocked
// in a stub, so they wait. The call runs in the thread itself: to others the
// kernel forbids to send what looks like its own or a user's signal
// (do_rt_tgsigqueueinfo, kernel/signal.c).
func Pending(p place.Process, pid, tid uint32, infos [][]byte, timers *PosixTimers) error {
	return queue(p, infos, timers, true, func(sig, addr uint64) error {
		_, err := p.Call(unix.SYS_RT_TGSIGQUEUEINFO, uint64(pid), uint64(tid), sig, addr)
		return err
	})
}

// IsFault says whether a signal looks like one by which the kernel tells of a
// fault. When the kernel delivers such a one to a task, it takes the first of them
// in the task's queue, though it may be blocked (dequeue_synchronous_signal,
// kernel/signal.c, seen on 6.18): so the trap at the end of a batch would bring it
// out. Therefore they are queued after the last batch (Faults).
func IsFault(info []byte) bool {
	if len(info) < 12 || int32(le.Uint32(info[8:])) <= 0 {
		return false
	}
	switch unix.Signal(le.Uint32(info)) {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGILL, unix.SIGTRAP, unix.SIGFPE, unix.SIGSYS:
		return true
	}
	return false
}

// Faults queues what Pending has left out.
func Faults(p place.Process, r *tracee.Remote, pid, tid uint32, k *format.Task) error {
	addr, _ := p.Scratch()
	for _, info := range k.Pending {
		if !IsFault(info) {
			continue
		}
		if err := p.Write(addr, info); err != nil {
			return err
		}
		if _, err := r.Call(unix.SYS_RT_TGSIGQUEUEINFO, uint64(pid), uint64(tid), uint64(le.Uint32(info)), addr); err != nil {
			return fmt.Errorf("queue signal %d again: %w", le.Uint32(info), err)
		}
	}
	return nil
}

// SharedPending does so for the process's. p is the leader.
func SharedPending(p place.Process, pid uint32, infos [][]byte, timers *PosixTimers) error {
	return queue(p, infos, timers, false, func(sig, addr uint64) error {
		_, err := p.Call(unix.SYS_RT_SIGQUEUEINFO, uint64(pid), sig, addr)
		return err
	})
}

// sysPrivate is where the kernel notes in a timer's signal which setting of the
// timer it belongs to (si_sys_private).
const sysPrivate = 32

func queue(p place.Process, infos [][]byte, timers *PosixTimers, private bool, send func(sig, addr uint64) error) error {
	addr, _ := p.Scratch()
	for _, info := range infos {
		if len(info) != siginfoSize {
			return fmt.Errorf("the statefile has a signal of %d bytes instead of %d", len(info), siginfoSize)
		}
		if private && IsFault(info) {
			continue
		}
		// A timer's own signal the kernel has to queue: only then it goes on
		// with the timer when the signal is taken.
		if fired, err := timers.Fire(info); err != nil {
			return fmt.Errorf("a timer that has expired: %w", err)
		} else if fired {
			continue
		}
		info = append([]byte{}, info...)
		if _, ok := format.TimerOf(info); ok {
			clear(info[sysPrivate:][:4]) // would have the kernel look for its timer
		}
		if err := p.Write(addr, info); err != nil {
			return err
		}
		sig := uint64(le.Uint32(info))
		if err := send(sig, addr); err != nil {
			return fmt.Errorf("queue signal %d again: %w", sig, err)
		}
	}
	return nil
}

// IgnoresTrap says whether SIGTRAP is ignored: to be set last.
func IgnoresTrap(h *format.Sighand) *format.SignalAction {
	for _, a := range h.Actions {
		if a.Signal == uint32(unix.SIGTRAP) && a.Handler == 1 {
			return a
		}
	}
	return nil
}
