package tasks

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// Thread gives a task all that is the thread's own, but for signals and
// registers. It comes after the memory: registering an rseq area writes to it.
// What can be is done in one stop: there may be thousands of threads.
func Thread(p place.Process, k *format.Task) error {
	if err := schedule(p, k); err != nil {
		return fmt.Errorf("scheduling of task %d (%s): %w", k.Tid, k.Name, err)
	}
	b := &batch{}
	b.add("name", unix.SYS_PRCTL, unix.PR_SET_NAME, b.put(p, append([]byte(k.Name), 0)), 0, 0, 0)
	addresses(b, p, k)
	if c := k.Credentials; c != nil {
		have, err := procfs.ReadStatus(p.PID())
		if err != nil {
			return err
		}
		if !isAlready(have, c) {
			if err := b.run(p); err != nil {
				return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
			}
			if err := Credentials(p, c, have); err != nil {
				return fmt.Errorf("credentials of task %d (%s): %w", k.Tid, k.Name, err)
			}
		}
	}
	settings(b, k)
	if err := b.run(p); err != nil {
		return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
	}
	return nil
}

// schedule works from outside: policy, nice, I/O priority. What is as
// it should be already needs no right to be set.
func schedule(p place.Process, k *format.Task) error {
	s := k.Scheduling
	if s == nil {
		return nil
	}
	want := unix.SchedAttr{Policy: s.Policy, Flags: s.Flags, Nice: s.Nice, Priority: s.Priority}
	want.Size = unix.SizeofSchedAttr
	have, err := unix.SchedGetAttr(p.PID(), 0)
	if err != nil {
		return err
	}
	if have.Policy != want.Policy || have.Flags != want.Flags || have.Nice != want.Nice || have.Priority != want.Priority {
		if err := unix.SchedSetAttr(p.PID(), &want, 0); err != nil {
			return fmt.Errorf("policy %d, nice %d, priority %d (a higher one needs CAP_SYS_NICE): %w", s.Policy, s.Nice, s.Priority, err)
		}
	}
	const whoProcess = 1
	if now, _, e := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, uintptr(p.PID()), 0); e == 0 && uint32(now) != s.IoPriority {
		if _, _, e := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(p.PID()), uintptr(s.IoPriority)); e != 0 {
			return fmt.Errorf("I/O priority %#x: %w", s.IoPriority, e)
		}
	}
	return nil
}

// Affinity restores the CPUs that a task may run on. On a host without any of
// them it may run on all: refusing a container for that would help nobody.
func Affinity(p place.Process, k *format.Task) error {
	mask := k.Scheduling.GetAffinity()
	err := setAffinity(p.PID(), mask)
	if errors.Is(err, unix.EINVAL) || len(mask) == 0 {
		err = setAffinity(p.PID(), bytes.Repeat([]byte{0xff}, 1024))
	}
	return err
}

func setAffinity(pid int, mask []byte) error {
	if len(mask) == 0 {
		return nil
	}
	_, _, e := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(pid), uintptr(len(mask)), uintptr(unsafe.Pointer(&mask[0])))
	runtime.KeepAlive(mask)
	if e != 0 {
		return e
	}
	return nil
}

// addresses registers the places in the task's memory that the kernel knows.
func addresses(b *batch, p place.Process, k *format.Task) {
	if k.RobustList != 0 {
		b.add("robust list", unix.SYS_SET_ROBUST_LIST, k.RobustList, k.RobustListLength)
	}
	b.add("clear_child_tid", unix.SYS_SET_TID_ADDRESS, k.ClearChildTid)
	if a := k.AlternateStack; a != nil && a.Pointer != 0 {
		s := make([]byte, 24)
		le.PutUint64(s, a.Pointer)
		le.PutUint32(s[8:], a.Flags)
		le.PutUint64(s[16:], a.Size)
		b.add("alternate signal stack", unix.SYS_SIGALTSTACK, b.put(p, s), 0)
	}
	if r := k.Rseq; r != nil && r.Pointer != 0 {
		b.add("rseq area", unix.SYS_RSEQ, r.Pointer, uint64(r.Size), uint64(r.Flags), uint64(r.Signature))
	}
}

func settings(b *batch, k *format.Task) {
	if k.TimerSlackNs != 0 {
		b.add("timer slack", unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, k.TimerSlackNs, 0, 0, 0)
	}
	b.add("personality", unix.SYS_PERSONALITY, uint64(k.Personality))
	// After the credentials: a change of those clears it.
	b.add("parent death signal", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uint64(k.ParentDeathSignal), 0, 0, 0)
}

// Dumpable restores PR_SET_DUMPABLE, which changes of credentials reset. 2
// (suid_dumpable) can't be set and is what such a change leaves.
func Dumpable(p place.Process, value uint32) error {
	if value > 1 {
		return nil
	}
	_, err := p.Call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, uint64(value), 0, 0, 0)
	return err
}
