package tasks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"

	"golang.org/x/sys/unix"
)

// task looks at one task of the process.
func (k *looking) task(ctx context.Context, t *tracee.Thread, leader bool) (*format.Task, error) {
	status := k.status
	if !leader {
		var err error
		if status, err = procfs.ReadStatus(t.TID()); err != nil {
			return nil, err
		}
	}
	f := &format.Task{
		Tid:         uint32(k.inside(status.NSpid)),
		Name:        procfs.ReadComm(t.TID()),
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
	if !leader {
		if f.Files, f.Fs, err = k.tablesOf(t.TID()); err != nil {
			return nil, err
		}
	}
	f.Credentials = credentials(status)
	f.Credentials.LsmLabel = label(t.TID())
	if f.Scheduling, err = k.scheduling(t.TID(), f.Tid); err != nil {
		return nil, err
	}
	if f.RobustList, f.RobustListLength, err = sys.GetRobustList(t.TID()); err != nil {
		return nil, fmt.Errorf("read its list of robust futexes: %w", err)
	}
	if f.RobustList == 0 {
		f.RobustListLength = 0
	}
	slack, err := readInt(fmt.Sprintf("/proc/%d/timerslack_ns", t.TID()), 10)
	if err != nil {
		return nil, err
	}
	f.TimerSlackNs = uint64(slack)
	personality, err := readInt(fmt.Sprintf("/proc/%d/task/%d/personality", k.p.PID, t.TID()), 16)
	if err != nil {
		return nil, err
	}
	f.Personality = uint32(personality)
	if f.SignalMask, err = t.SignalMask(); err != nil {
		return nil, err
	}
	if f.Pending, err = t.PendingSignals(false); err != nil {
		return nil, err
	}
	if leader {
		if k.found.Pending, err = t.PendingSignals(true); err != nil {
			return nil, err
		}
	}
	if !callable { // it is refused anyway
		return f, nil
	}
	if err := registers(t, f); err != nil {
		return nil, err
	}
	return f, k.askTask(ctx, t, f, leader)
}

// askTask has the task make the calls that only itself can make.
func (k *looking) askTask(ctx context.Context, t *tracee.Thread, f *format.Task, leader bool) (err error) {
	r, err := t.Remote(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	q := question{r: r}
	if q.scratch, err = r.Scratch(scratchSize); err != nil {
		return err
	}
	if f.Rseq, err = rseq(t, r); err != nil {
		return err
	}
	f.ClearChildTid = q.number(8, unix.SYS_PRCTL, unix.PR_GET_TID_ADDRESS, q.scratch)
	f.ParentDeathSignal = uint32(q.number(4, unix.SYS_PRCTL, unix.PR_GET_PDEATHSIG, q.scratch))
	f.Credentials.Securebits = uint32(q.call(unix.SYS_PRCTL, unix.PR_GET_SECUREBITS))
	f.AlternateStack = q.alternateStack()
	if leader {
		k.found.ChildSubreaper = q.number(4, unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, q.scratch) != 0
		k.found.Timers = q.timers()
		if k.freshSighand {
			k.found.Sighand = &format.Sighand{Id: k.found.Process.Sighand, Actions: q.actions()}
		}
		if k.freshMm && k.ask != nil && q.err == nil {
			q.err = k.ask(k.found.Objects[0], r)
		}
	}
	return q.err
}

// question asks a task. After the first error it asks no more.
type question struct {
	r       *tracee.Remote
	scratch uint64
	err     error
}

// scratchSize is what the answers need, in bytes: the actions of all signals.
const scratchSize = 64 * actionSize

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
func rseq(t *tracee.Thread, r *tracee.Remote) (*format.Rseq, error) {
	ptr, size, signature, flags, err := t.RseqConfiguration()
	if err != nil || ptr == 0 {
		return nil, err
	}
	return &format.Rseq{
		Pointer: ptr, Size: size, Signature: signature, Flags: flags, RseqCs: r.CriticalSection(),
	}, nil
}
