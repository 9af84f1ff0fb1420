package tasks

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
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
func Pending(p place.Process, pid, tid uint32, infos [][]byte) error {
	return queue(p, infos, func(sig, addr uint64) error {
		_, err := p.Call(unix.SYS_RT_TGSIGQUEUEINFO, uint64(pid), uint64(tid), sig, addr)
		return err
	})
}

// SharedPending does so for the process's. p is the leader.
func SharedPending(p place.Process, pid uint32, infos [][]byte) error {
	return queue(p, infos, func(sig, addr uint64) error {
		_, err := p.Call(unix.SYS_RT_SIGQUEUEINFO, uint64(pid), sig, addr)
		return err
	})
}

func queue(p place.Process, infos [][]byte, send func(sig, addr uint64) error) error {
	addr, _ := p.Scratch()
	for _, info := range infos {
		if len(info) != siginfoSize {
			return fmt.Errorf("the statefile has a signal of %d bytes instead of %d", len(info), siginfoSize)
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
