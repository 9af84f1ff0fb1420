package tasks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/ia32"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"

	"golang.org/x/sys/unix"
)

// task looks at one task of the process. leader is that one which tells what
// the process as a whole has: its first, or if that has ended, the next.
func (k *looking) task(ctx context.Context, t *tracee.Thread, leader bool) (*format.Task, error) {
	status := k.status
	if t.TID() != k.p.PID {
		var err error
		if status, err = procfs.ReadStatus(t.TID()); err != nil {
			return nil, err
		}
	}
	f := &format.Task{
		Tid:         uint32(k.inside(status.NSpid)),
		InnerTids:   k.below(status.NSpid),
		Name:        k.name(t, status),
		SeccompMode: uint32(status.Seccomp),
		// Where the kernel does not tell, there is one for all we know.
		SeccompFilters: uint32(max(status.SeccompFilters, 0)),
		Files:          k.filesID,
		Fs:             k.fsID,
	}
	callable, err := k.checkTask(t, status)
	if err != nil {
		return nil, err
	}
	if status.Seccomp == unix.SECCOMP_MODE_FILTER {
		object := ""
		if t.TID() != k.p.PID {
			object = fmt.Sprintf("task %d", f.Tid)
		}
		if f.SeccompFilter, err = k.seccomp(t, func(kind, reason, remedy string) { k.refuse(object, kind, reason, remedy) }); err != nil {
			return nil, err
		}
	}
	if !leader {
		if f.Files, f.Fs, err = k.tablesOf(t.TID()); err != nil {
			return nil, err
		}
	}
	f.Credentials = credentials(status)
	f.StoreBypass, f.IndirectBranch = status.StoreBypass, status.IndirectBranch
	f.Credentials.LsmLabel = k.label(t.TID())
	if f.Scheduling, err = k.scheduling(t.TID()); err != nil {
		return nil, err
	}
	if f.RobustList, f.RobustListLength, err = sys.GetRobustList(t.TID()); err != nil {
		return nil, fmt.Errorf("read its list of robust futexes: %w", err)
	}
	if f.RobustList == 0 {
		f.RobustListLength = 0
	}
	if err := k.narrowRobustList(t, f); err != nil {
		return nil, err
	}
	if err := k.ofTask(f, t.TID()); err != nil {
		return nil, err
	}
	if f.SignalMask, err = t.SignalMask(); err != nil {
		return nil, err
	}
	if !callable { // it is refused anyway
		return f, nil
	}
	if err := k.leaveVdso(ctx, t, status); err != nil {
		return nil, err
	}
	if err := modes(t, f); err != nil {
		return nil, err
	}
	facts := k.o.Facts[t.TID()]
	var block *view.RestartBlock
	if facts != nil {
		block = facts.Block
	}
	rest, number, err := k.rest(ctx, t, block)
	if err != nil {
		return nil, err
	}
	f.Rest = rest
	if err := registers(t, f, number); err != nil {
		return nil, err
	}
	if f.Rseq, err = rseq(t); err != nil {
		return nil, err
	}
	if facts == nil {
		facts, err = k.askTask(ctx, t, f, leader)
	} else {
		err = k.askRest(ctx, t, f, facts, leader)
	}
	if err != nil {
		return nil, err
	}
	k.take(f, facts, leader)
	if seen := k.seen(t.TID()); seen != nil {
		if err := k.sessionKeyring(ctx, t, f, seen.SessionKeyring); err != nil {
			return nil, err
		}
	}
	if seen := facts.Seen; leader && (seen == nil || seen.PosixTimers) {
		if err := k.posixTimers(ctx, t); err != nil {
			return nil, fmt.Errorf("timers: %w", err)
		}
	}
	// After the timers: one that expires meanwhile is in either. (The kernel queues
	// their signals in any case, so that the status that was read before will do.)
	return f, k.pending(t, f, status, leader)
}

// name is the task's, as comm has it; the status file writes some bytes otherwise.
func (k *looking) name(t *tracee.Thread, status *procfs.TaskStatus) string {
	if strings.Contains(status.Name, "\\") {
		return procfs.ReadComm(t.TID())
	}
	return status.Name
}

// ofTask takes what eBPF has seen of a task, or reads it.
func (k *looking) ofTask(f *format.Task, tid int) error {
	if seen := k.seen(tid); seen != nil {
		f.TimerSlackNs, f.Personality = seen.TimerSlack, seen.Personality
		return nil
	}
	slack, err := readInt(fmt.Sprintf("/proc/%d/timerslack_ns", tid), 10)
	if err != nil {
		return err
	}
	f.TimerSlackNs = uint64(slack)
	personality, err := readInt(fmt.Sprintf("/proc/%d/task/%d/personality", k.p.PID, tid), 16)
	if err != nil {
		return err
	}
	f.Personality = uint32(personality)
	return nil
}

// narrowRobustList is the list of robust futexes of 32-bit code, which a task has
// beside the other one.
func (k *looking) narrowRobustList(t *tracee.Thread, f *format.Task) error {
	r, err := t.Registers()
	if err != nil || !r.Narrow() || ia32.Usable() != nil {
		return err
	}
	if f.NarrowRobustList, err = ia32.RobustList(t.TID()); err != nil {
		return fmt.Errorf("read its 32-bit list of robust futexes: %w", err)
	}
	return nil
}

// take puts a task's facts where they belong.
func (k *looking) take(f *format.Task, facts *view.TaskFacts, leader bool) {
	f.ClearChildTid = facts.ClearChildTID
	f.TscMode, f.CpuidFaults = facts.TSCMode, facts.CPUIDFaults
	f.ParentDeathSignal = facts.ParentDeathSignal
	f.Credentials.Securebits = facts.Securebits
	f.Credentials.LoginUidPlusOne = facts.LoginUIDPlusOne
	flags(f, facts.Flags)
	f.AlternateStack = &format.AlternateStack{Pointer: facts.Stack.Pointer, Flags: facts.Stack.Flags, Size: facts.Stack.Size}
	k.undo(facts.Undo, leader)
	if facts.Landlock {
		k.refuse(fmt.Sprintf("task %d", f.Tid), "Landlock", "it has restricted itself (landlock_restrict_self), and the kernel does not tell to what: it would come back without its sandbox",
			"start it without that (often an option or a setting of its sandbox), or end it")
	}
	if !leader {
		return
	}
	k.found.ChildSubreaper = facts.ChildSubreaper
	if k.freshSighand {
		k.found.Sighand = &format.Sighand{Id: k.found.Process.Sighand, Actions: actions(facts.Actions)}
	}
}

// askTask has the task tell its facts.
func (k *looking) askTask(ctx context.Context, t *tracee.Thread, f *format.Task, leader bool) (*view.TaskFacts, error) {
	facts := &view.TaskFacts{}
	stat, err := procfs.ReadTaskStat(k.p.PID, t.TID())
	if err != nil {
		return nil, err
	}
	facts.Flags = uint32(stat.Flags)
	if facts.LoginUIDPlusOne, err = loginUID(t.TID()); err != nil {
		return nil, err
	}
	err = k.asking(ctx, t, func(q *question) {
		facts.ClearChildTID = q.number(8, unix.SYS_PRCTL, unix.PR_GET_TID_ADDRESS, q.scratch)
		facts.ParentDeathSignal = uint32(q.number(4, unix.SYS_PRCTL, unix.PR_GET_PDEATHSIG, q.scratch))
		facts.Securebits = uint32(q.call(unix.SYS_PRCTL, unix.PR_GET_SECUREBITS))
		facts.Stack = q.alternateStack()
		f.Scheduling.MemoryPolicy, f.Scheduling.MemoryNodes = q.memoryPolicy()
		k.keyrings(q, f)
		q.modes(facts)
		if !leader {
			return
		}
		facts.ChildSubreaper = q.number(4, unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, q.scratch) != 0
		k.found.Timers = q.timers()
		if k.freshSighand {
			facts.Actions = q.actions()
		}
		if k.freshMm && k.o.Ask != nil && q.err == nil {
			q.err = k.o.Ask(k.found.Objects[0], q.r)
		}
	})
	return facts, err
}

// askRest asks a task for those few things that eBPF has seen that it has, but
// not what exactly.
func (k *looking) askRest(ctx context.Context, t *tracee.Thread, f *format.Task, facts *view.TaskFacts, leader bool) error {
	timers := leader && facts.IntervalTimers
	settings := leader && (facts.MemorySettings || facts.LDT) && k.freshMm && k.o.AskSettings != nil
	if !timers && !settings && !facts.MemoryPolicy && !facts.Keyrings && !facts.Unusual {
		return nil
	}
	return k.asking(ctx, t, func(q *question) {
		if timers {
			// What remains of one depends on clocks that only the kernel adds up.
			k.found.Timers = q.timers()
		}
		if facts.MemoryPolicy {
			f.Scheduling.MemoryPolicy, f.Scheduling.MemoryNodes = q.memoryPolicy()
		}
		if facts.Keyrings {
			k.keyrings(q, f)
		}
		if facts.Unusual {
			q.modes(facts)
		}
		if settings && q.err == nil {
			q.err = k.o.AskSettings(k.found.Objects[0], q.r)
		}
	})
}

// asking has the task make the calls that only itself can make.
func (k *looking) asking(ctx context.Context, t *tracee.Thread, do func(*question)) (err error) {
	defer besides(t.TID())()
	r, err := t.Remote(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	q := &question{r: r}
	if q.scratch, err = r.Scratch(scratchSize); err != nil {
		return err
	}
	do(q)
	return q.err
}

// besides has our thread run on the CPU that a task was on last, until the
// function it returns is called: a call that is made there costs a quarter, as
// no other CPU has to be woken up.
func besides(tid int) (undo func()) {
	stat, err := procfs.ReadTaskStat(tid, tid)
	var before, there unix.CPUSet
	if err != nil || unix.SchedGetaffinity(0, &before) != nil {
		return func() {}
	}
	there.Set(stat.CPU)
	if unix.SchedSetaffinity(0, &there) != nil {
		return func() {}
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }
}

// question asks a task. After the first error it asks no more.
type question struct {
	r       *tracee.Remote
	scratch uint64
	err     error
}

// scratchSize is what the answers need, in bytes: the actions of all signals.
const scratchSize = 64 * view.ActionSize

// try makes a system call that may fail; the error of one that can't be made is
// kept.
func (q *question) try(nr uint64, args ...uint64) (uint64, unix.Errno) {
	if q.err != nil {
		return 0, 0
	}
	v, err := q.r.Call(nr, args...)
	var e unix.Errno
	if err != nil && !errors.As(err, &e) {
		q.err = err
	}
	return v, e
}

// call makes a system call and returns its result.
func (q *question) call(nr uint64, args ...uint64) uint64 {
	if q.err != nil {
		return 0
	}
	v, err := q.r.Call(nr, args...)
	if err != nil {
		q.err = fmt.Errorf("have it call %d(%d): %w", nr, args[0], err)
	}
	return v
}

// bytes makes a system call that writes size bytes to the scratch memory, and
// returns them.
func (q *question) bytes(size int, nr uint64, args ...uint64) []byte {
	b := make([]byte, size)
	q.call(nr, args...)
	if q.err == nil {
		q.err = q.r.Read(q.scratch, b)
	}
	return b
}

// number is bytes for a number of 4 or 8 bytes.
func (q *question) number(size int, nr uint64, args ...uint64) uint64 {
	b := make([]byte, 8)
	copy(b, q.bytes(size, nr, args...))
	return binary.LittleEndian.Uint64(b)
}

// rseq reads the registration of restartable sequences and, of a registered
// one, the critical section that the task is in.
func rseq(t *tracee.Thread) (*format.Rseq, error) {
	ptr, size, signature, flags, err := t.RseqConfiguration()
	if err != nil || ptr == 0 {
		return nil, err
	}
	section, err := t.CriticalSection(ptr)
	if err != nil {
		return nil, err
	}
	return &format.Rseq{Pointer: ptr, Size: size, Signature: signature, Flags: flags, RseqCs: section}, nil
}
