package stub

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/tracee"
)

// KillAll kills tasks and waits for their ends, in whatever order they come: a
// leader ends after its threads, the first process of a pid namespace after all
// others in it.
func KillAll(tasks []*Task, timeout time.Duration) error {
	left := map[int]*Task{}
	for _, t := range tasks {
		left[t.PID()] = t
		if err := unix.Kill(t.PID(), unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill task %d: %w", t.PID(), err)
		}
	}
	deadline := time.Now().Add(timeout)
	for len(left) > 0 {
		for pid := range left {
			var s unix.WaitStatus
			got, err := unix.Wait4(pid, &s, unix.WNOHANG|unix.WALL, nil)
			switch {
			case errors.Is(err, unix.ECHILD), errors.Is(err, unix.ESRCH), got == pid && (s.Exited() || s.Signaled()):
				delete(left, pid)
			case got == pid:
				// Some stop on its way to the end.
				unix.PtraceCont(pid, 0)
			}
		}
		if len(left) > 0 && time.Now().After(deadline) {
			return fmt.Errorf("%d tasks do not end within %v", len(left), timeout)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// Become ends a process as the zombie it is to be.
func (p *Task) Become(s unix.WaitStatus) error {
	if s.Signaled() {
		return p.dieBy(s)
	}
	calls := []tracee.Call{{Nr: unix.SYS_EXIT_GROUP, Args: [6]uint64{uint64(s.ExitStatus())}}}
	b := make([]byte, tracee.CallSize)
	tracee.EncodeCalls(calls, b)
	if err := p.Write(p.area.data(), b); err != nil {
		return err
	}
	ctx, cancel := p.limit()
	defer cancel()
	if _, err := p.Thread.RunBatch(ctx, p.area.Start, p.area.data(), 1); err == nil {
		return errors.New("it did not end")
	} else if !p.Thread.Last().Gone() {
		return err
	}
	return nil
}

// dieBy lets the process die by a signal, without a core dump of our own
// memory, unless that is what is to be seen of it.
func (p *Task) dieBy(s unix.WaitStatus) error {
	sig := s.Signal()
	prepare := func() error { return p.setLimit(unix.RLIMIT_CORE, unix.Rlimit{}) }
	if s.CoreDump() {
		prepare = p.prepareCore
	}
	if err := prepare(); err != nil {
		return err
	}
	ctx, cancel := p.limit()
	defer cancel()
	if err := p.Thread.SetSignalMask(^(uint64(1) << (sig - 1))); err != nil {
		return err
	}
	if err := unix.Kill(p.PID(), sig); err != nil {
		return err
	}
	for {
		// After SIGKILL it needs no push, and may be gone already.
		if err := p.Thread.Continue(signalOf(p.Thread.Last(), sig)); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		stop, err := p.Thread.Wait(ctx)
		if err != nil {
			return err
		}
		if stop.Gone() {
			return p.hasStatus(s)
		}
	}
}

// hasStatus sees to it that a process has ended as it should. One of ours that the
// kernel has removed at once tells nothing.
func (p *Task) hasStatus(want unix.WaitStatus) error {
	stat, err := procfs.ReadStat(p.PID())
	if err == nil && stat.State == 'Z' && stat.ExitCode != int(want) {
		return fmt.Errorf("its status is %#x, not %#x", stat.ExitCode, int(want))
	}
	return nil
}

// signalOf passes the signal on once it is about to be delivered.
func signalOf(s tracee.Stop, sig unix.Signal) unix.Signal {
	if s.Kind == tracee.SignalStop && s.Signal == sig {
		return sig
	}
	return 0
}

// Rename sets the task's name.
func (p *Task) Rename(name string) error {
	addr, _ := p.Scratch()
	if err := p.Write(addr, append([]byte(name), 0)); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_PRCTL, unix.PR_SET_NAME, addr, 0, 0, 0)
	return err
}

// WriteAction puts a signal action into the task's memory as the kernel takes it.
func (p *Task) WriteAction(addr uint64, a *format.SignalAction) error {
	var b [32]byte
	le := binary.LittleEndian
	le.PutUint64(b[:], a.Handler)
	le.PutUint64(b[8:], a.Flags)
	le.PutUint64(b[16:], a.Restorer)
	le.PutUint64(b[24:], a.Mask)
	return p.Write(addr, b[:])
}

// WriteWord writes 8 bytes.
func (p *Task) WriteWord(addr, v uint64) error {
	return p.Write(addr, binary.LittleEndian.AppendUint64(nil, v))
}

// AwaitEnd waits until a thread that was let go has ended. As the first of its
// process it stays, as a zombie.
func (p *Task) AwaitEnd() error {
	deadline := time.Now().Add(p.timeout)
	for {
		s, err := procfs.ReadStat(p.PID())
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) || err == nil && s.State == 'Z' {
			return nil
		}
		if err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("task %d does not end", p.PID())
		}
		time.Sleep(100 * time.Microsecond)
	}
}
