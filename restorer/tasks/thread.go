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
// What can be is done in one stop: there may be thousands of threads. users are
// those of its user namespace.
func Thread(p place.Process, k *format.Task, from Origin, users *format.Users) error {
	if err := schedule(p, k); err != nil {
		return fmt.Errorf("scheduling of task %d (%s): %w", k.Tid, k.Name, err)
	}
	b := &batch{}
	b.add("name", unix.SYS_PRCTL, unix.PR_SET_NAME, b.put(p, append([]byte(k.Name), 0)), 0, 0, 0)
	addresses(b, p, k)
	if k.IoFlusher {
		// Before the credentials, which may take the right to.
		b.add("I/O flusher (needs CAP_SYS_RESOURCE)", unix.SYS_PRCTL, unix.PR_SET_IO_FLUSHER, 1, 0, 0, 0)
	}
	if c := k.Credentials; c != nil {
		have, err := procfs.ReadStatus(p.PID())
		if err != nil {
			return err
		}
		if err := loginUID(p, from, c); err != nil {
			return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
		}
		if !isAlready(have, c) {
			if err := b.run(p); err != nil {
				return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
			}
			if err := Credentials(p, c, have, users); err != nil {
				return fmt.Errorf("credentials of task %d (%s): %w", k.Tid, k.Name, err)
			}
		}
	}
	// When all that the label might forbid is done, and before no_new_privs,
	// which forbids to change it.
	if err := securityLabel(p, from, k.Credentials.GetLsmLabel()); err != nil {
		return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
	}
	settings(b, p, k)
	if err := speculation(b, p, k); err != nil {
		return err
	}
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
	differs := have.Policy != want.Policy || have.Flags != want.Flags || have.Nice != want.Nice || have.Priority != want.Priority
	if differs && want.Policy != unix.SCHED_DEADLINE { // that comes last, see CPUs
		if err := unix.SchedSetAttr(p.PID(), &want, 0); err != nil {
			return fmt.Errorf("policy %d, nice %d, priority %d (a higher one needs CAP_SYS_NICE): %w", want.Policy, want.Nice, want.Priority, err)
		}
	}
	if err := clampUtil(p.PID(), s); err != nil {
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

// clampUtil bounds what the scheduler thinks that the task uses of a CPU. A
// kernel without that has bounds of 0, and can do without those of the image.
func clampUtil(tid int, s *format.Scheduling) error {
	have, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return err
	}
	if s.UtilMax == 0 || have.Util_max == 0 || have.Util_min == s.UtilMin && have.Util_max == s.UtilMax {
		return nil
	}
	const keep = unix.SCHED_FLAG_KEEP_POLICY | unix.SCHED_FLAG_KEEP_PARAMS
	have.Flags |= keep | unix.SCHED_FLAG_UTIL_CLAMP
	have.Util_min, have.Util_max = s.UtilMin, s.UtilMax
	if err := unix.SchedSetAttr(tid, have, 0); err != nil {
		return fmt.Errorf("bounds of CPU use, %d to %d: %w", s.UtilMin, s.UtilMax, err)
	}
	return nil
}

// CPUs restores the CPUs that a task may run on, and SCHED_DEADLINE, which the
// kernel gives only to a task that may run on all. On a host without any of the
// CPUs it may run on all: refusing a container for that would help nobody.
func CPUs(p place.Process, k *format.Task) error {
	mask := k.Scheduling.GetAffinity()
	err := setAffinity(p.PID(), mask)
	if errors.Is(err, unix.EINVAL) || len(mask) == 0 {
		err = setAffinity(p.PID(), bytes.Repeat([]byte{0xff}, 1024))
	}
	if err != nil || k.Scheduling.GetPolicy() != unix.SCHED_DEADLINE {
		return err
	}
	return deadline(p.PID(), k.Scheduling)
}

func deadline(tid int, s *format.Scheduling) error {
	err := unix.SchedSetAttr(tid, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: s.Policy, Flags: s.Flags, Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}, 0)
	what := fmt.Sprintf("SCHED_DEADLINE with %d of %d ns", s.Runtime, s.Period)
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s: this host's CPUs have promised too much of their time already: %w", what, err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s needs CAP_SYS_NICE, and that the task may run on all CPUs of its cpuset: %w", what, err)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
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
	if k.NarrowRobustList != 0 {
		const headSize = 12
		b.add("32-bit robust list", narrowRobustList, uint64(k.NarrowRobustList), headSize)
		b.calls[len(b.calls)-1].Narrow = true
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

func settings(b *batch, p place.Process, k *format.Task) {
	if k.TimerSlackNs != 0 {
		b.add("timer slack", unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, k.TimerSlackNs, 0, 0, 0)
	}
	if k.Credentials.GetNoNewPrivs() {
		b.add("no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if s := k.Scheduling; s.GetMemoryPolicy() != 0 {
		// The number of bits, plus one (kernel_set_mempolicy, mm/mempolicy.c).
		b.add(fmt.Sprintf("memory policy %#x for nodes %#x (set_mempolicy; does this host have them?)", s.MemoryPolicy, s.MemoryNodes),
			unix.SYS_SET_MEMPOLICY, uint64(s.MemoryPolicy), b.put(p, append(s.MemoryNodes[:len(s.MemoryNodes):len(s.MemoryNodes)], make([]byte, 8)...)), uint64(8*len(s.MemoryNodes)+1))
	}
	if k.McePolicy != format.McePolicy_MCE_DEFAULT {
		policy := uint64(unix.PR_MCE_KILL_LATE)
		if k.McePolicy == format.McePolicy_MCE_EARLY {
			policy = unix.PR_MCE_KILL_EARLY
		}
		b.add("policy for broken memory", unix.SYS_PRCTL, unix.PR_MCE_KILL, unix.PR_MCE_KILL_SET, policy, 0, 0)
	}
	modes(b, k)
	b.add("personality", unix.SYS_PERSONALITY, uint64(k.Personality))
	// After the credentials: a change of those clears it.
	b.add("parent death signal", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uint64(k.ParentDeathSignal), 0, 0, 0)
}

// speculation gives a task its control of the CPU's speculation, as far as it
// differs. A host that leaves no choice has none to be made.
func speculation(b *batch, p place.Process, k *format.Task) error {
	if k.StoreBypass == 0 && k.IndirectBranch == 0 {
		return nil
	}
	have, err := procfs.ReadStatus(p.PID())
	if err != nil {
		return err
	}
	for _, c := range []struct{ which, want, have uint32 }{
		{unix.PR_SPEC_STORE_BYPASS, k.StoreBypass, have.StoreBypass}, {unix.PR_SPEC_INDIRECT_BRANCH, k.IndirectBranch, have.IndirectBranch},
	} {
		if c.want != 0 && c.have != 0 && c.want != c.have {
			b.add("control of speculation", unix.SYS_PRCTL, unix.PR_SET_SPECULATION_CTRL, uint64(c.which), uint64(c.want), 0, 0)
		}
	}
	return nil
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
