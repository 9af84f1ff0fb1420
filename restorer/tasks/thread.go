package tasks

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// Thread gives a task all that is the thread's own, but for signals and
// registers. It comes after the memory: registering an rseq area writes to it.
func Thread(p place.Process, k *format.Task) error {
	for _, step := range []struct {
		what string
		do   func(place.Process, *format.Task) error
	}{
		{"name", setName},
		{"scheduling", schedule},
		{"addresses", addresses},
		{"credentials", func(p place.Process, k *format.Task) error {
			if k.Credentials == nil {
				return nil
			}
			return Credentials(p, k.Credentials)
		}},
		{"settings", settings},
	} {
		if err := step.do(p, k); err != nil {
			return fmt.Errorf("%s of task %d (%s): %w", step.what, k.Tid, k.Name, err)
		}
	}
	return nil
}

func setName(p place.Process, k *format.Task) error {
	addr, _ := p.Scratch()
	if err := p.Write(addr, append([]byte(k.Name), 0)); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_PRCTL, unix.PR_SET_NAME, addr, 0, 0, 0)
	return err
}

// schedule works from outside: policy, nice, affinity, I/O priority. What is as
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
	if err := setAffinity(p.PID(), s.Affinity); err != nil {
		return err
	}
	const whoProcess = 1
	if now, _, e := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, uintptr(p.PID()), 0); e == 0 && uint32(now) != s.IoPriority {
		if _, _, e := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(p.PID()), uintptr(s.IoPriority)); e != 0 {
			return fmt.Errorf("I/O priority %#x: %w", s.IoPriority, e)
		}
	}
	return nil
}

// setAffinity restores the mask. On a host without any of its CPUs the task may
// run on all: refusing a container for that would help nobody.
func setAffinity(pid int, mask []byte) error {
	if len(mask) == 0 {
		return nil
	}
	_, _, e := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(pid), uintptr(len(mask)), uintptr(unsafe.Pointer(&mask[0])))
	runtime.KeepAlive(mask)
	if e != 0 && !errors.Is(e, unix.EINVAL) {
		return fmt.Errorf("CPU affinity: %w", e)
	}
	return nil
}

// addresses registers the places in the task's memory that the kernel knows.
func addresses(p place.Process, k *format.Task) error {
	var calls []tracee.Call
	var about []string
	add := func(what string, nr uint64, args ...uint64) {
		c := tracee.Call{Nr: nr}
		copy(c.Args[:], args)
		calls, about = append(calls, c), append(about, what)
	}
	if k.RobustList != 0 {
		add("robust list", unix.SYS_SET_ROBUST_LIST, k.RobustList, k.RobustListLength)
	}
	add("clear_child_tid", unix.SYS_SET_TID_ADDRESS, k.ClearChildTid)
	if a := k.AlternateStack; a != nil && a.Pointer != 0 {
		addr, _ := p.Scratch()
		b := make([]byte, 24)
		le.PutUint64(b, a.Pointer)
		le.PutUint32(b[8:], a.Flags)
		le.PutUint64(b[16:], a.Size)
		if err := p.Write(addr, b); err != nil {
			return err
		}
		add("alternate signal stack", unix.SYS_SIGALTSTACK, addr, 0)
	}
	if r := k.Rseq; r != nil && r.Pointer != 0 {
		add("rseq area", unix.SYS_RSEQ, r.Pointer, uint64(r.Size), uint64(r.Flags), uint64(r.Signature))
	}
	return runAll(p, calls, func(i int) string { return about[i] })
}

func settings(p place.Process, k *format.Task) error {
	var calls []tracee.Call
	var about []string
	add := func(what string, nr uint64, args ...uint64) {
		c := tracee.Call{Nr: nr}
		copy(c.Args[:], args)
		calls, about = append(calls, c), append(about, what)
	}
	if k.TimerSlackNs != 0 {
		add("timer slack", unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, k.TimerSlackNs, 0, 0, 0)
	}
	add("personality", unix.SYS_PERSONALITY, uint64(k.Personality))
	// After the credentials: a change of those clears it.
	add("parent death signal", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uint64(k.ParentDeathSignal), 0, 0, 0)
	return runAll(p, calls, func(i int) string { return about[i] })
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
