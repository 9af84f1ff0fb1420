package ptrace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/tracee"

	"golang.org/x/sys/unix"
)

// Flags of /proc/PID/stat that mark threads of the kernel which live in a
// process (PF_IO_WORKER, PF_USER_WORKER, include/linux/sched.h). They run no
// code of the program, and whoever needs them makes them again.
const kernelWorker = 0x10 | 0x4000

// seeCalls notes, where it will be needed, in which system calls the tasks are
// before anything interrupts them.
func (h *Held) seeCalls() {
	if !tracee.MendNeedsCall || h.calls != nil {
		return
	}
	h.calls = map[int]*tracee.CallSeen{}
	pids, _ := h.container.Processes()
	for _, pid := range pids {
		for _, tid := range threads(pid) {
			h.calls[tid] = tracee.SeeCall(tid)
		}
	}
}

// stoppedBefore returns the tasks that a signal has stopped (T). On v1, to
// seize one would block until the thaw, so these wait for it.
func (h *Held) stoppedBefore() map[int]bool {
	late := map[int]bool{}
	if h.container.Freezer.Version() != 1 {
		return late
	}
	pids, _ := h.container.Processes()
	for _, pid := range pids {
		for _, tid := range threads(pid) {
			if signalStopped(pid, tid) {
				late[tid] = true
			}
		}
	}
	return late
}

// signalStopped says whether a task, frozen or not, is stopped by a signal.
// A frozen one shows state D since Linux 6.1, but still where it waits.
func signalStopped(pid, tid int) bool {
	s, err := readStat(pid, tid)
	if err == nil && s.State == 'T' {
		return true
	}
	wchan, _ := procfs.ReadFile(fmt.Sprintf("/proc/%d/task/%d/wchan", pid, tid))
	return string(wchan) == "do_signal_stop"
}

// attachAll seizes every task of the container and asks it to stop, except
// those that must wait for the thaw.
func (h *Held) attachAll(ctx context.Context, late map[int]bool) error {
	pids, err := h.container.Processes()
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("%s has no process any more", h.named())
	}
	var refused refusal.List
	for _, pid := range pids {
		// No new thread can come while it is frozen: one pass is enough. After
		// the thaw, stopAll looks again.
		for _, tid := range threads(pid) {
			if h.tasks[tid] != nil {
				continue
			}
			if late[tid] {
				h.tasks[tid] = &task{pid: pid}
				continue
			}
			err := h.attach(pid, tid)
			var r *refusal.Refusal
			if errors.As(err, &r) {
				refused = append(refused, r)
			} else if err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("attaching to process %d: %w", pid, err)
		}
	}
	return refused.Err()
}

// attach seizes one task and interrupts it. A task that has gone meanwhile, or
// that is none of the program's, is passed over.
func (h *Held) attach(pid, tid int) error {
	status, err := readStatus(pid, tid)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	stat, err := readStat(pid, tid)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if stat.Flags&kernelWorker != 0 {
		return nil
	}
	if status.TracerPid != 0 {
		return h.refuse(status, tid, "tracer", fmt.Sprintf("process %d (%s) traces it already, and a task has one tracer",
			status.TracerPid, commandOf(status.TracerPid)), "end that debugger, strace or checkpoint")
	}
	switch stat.State {
	case 'Z':
		// Either about to vanish, or a process's first thread, which stays as
		// long as others go on (Process.LeaderEnded).
		return nil
	case 'X':
		return nil
	}
	// A suspended filter lets our system calls pass; to suspend where there
	// is none would only ask for a privilege that we may not have.
	t, err := tracee.Seize(tid, tracee.Options{SuspendSeccomp: status.Seccomp != 0})
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("process %d (%s): %w: tracing it needs CAP_SYS_PTRACE, and CAP_SYS_ADMIN if it has seccomp filters; run this as root of the host and outside of any seccomp filter",
			pid, status.Name, err)
	}
	if err != nil {
		return fmt.Errorf("process %d (%s): %w", pid, status.Name, err)
	}
	h.tasks[tid] = &task{Thread: t, pid: pid}
	return t.Interrupt()
}

func (h *Held) refuse(status procfs.TaskStatus, tid int, kind, reason, remedy string) error {
	r := &refusal.Refusal{PID: last(status.NStgid, status.Tgid), Command: status.Name, Kind: kind, Reason: reason, Remedy: remedy}
	if tid != status.Tgid {
		r.Object = fmt.Sprintf("task %d", last(status.NSpid, tid))
	}
	return r
}

// stopAll waits until every task stands in its EventStop. What was passed over
// before the thaw, or was made by a task that ran, is attached now.
func (h *Held) stopAll(ctx context.Context) error {
	for {
		for tid, t := range h.tasks {
			if t.Thread != nil {
				continue
			}
			if err := h.attach(t.pid, tid); err != nil {
				return err
			}
			if h.tasks[tid].Thread == nil {
				delete(h.tasks, tid) // it has gone
			}
		}
		if err := h.waitAll(ctx); err != nil {
			return err
		}
		before := len(h.tasks)
		if err := h.attachAll(ctx, nil); err != nil {
			return err
		}
		if len(h.tasks) == before {
			return nil
		}
	}
}

// patience is how long the stop of one task may take longer than that of all
// others before we ask whether it waits for one of them.
const patience = 20 * time.Millisecond

// waitAll waits for every task that has not stopped yet.
func (h *Held) waitAll(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var waits []*task
	for tid, t := range h.tasks {
		if t.stopped {
			continue
		}
		err := h.waitOne(short, t)
		var tooLong *tracee.WaitError
		switch {
		case err == nil && t.gone:
			delete(h.tasks, tid)
		case err == nil:
		case errors.As(err, &tooLong) && ctx.Err() == nil:
			waits = append(waits, t)
		default:
			return h.notStopped(t, err)
		}
	}
	for _, t := range waits {
		if err := h.waitLong(ctx, t); err != nil {
			return err
		}
		if t.gone {
			delete(h.tasks, t.TID())
		}
	}
	return nil
}

// waitLong waits for a task that takes its time. It may be about to wait in
// vfork for another one that is stopped already, so it is asked again and again.
func (h *Held) waitLong(ctx context.Context, t *task) error {
	for {
		if inVfork(t.pid, t.TID()) {
			return &vforkError{t}
		}
		short, cancel := context.WithTimeout(ctx, patience)
		err := h.waitOne(short, t)
		cancel()
		var tooLong *tracee.WaitError
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &tooLong) || ctx.Err() != nil:
			return h.notStopped(t, err)
		}
	}
}

func (h *Held) notStopped(t *task, err error) error {
	var tooLong *tracee.WaitError
	if !errors.As(err, &tooLong) {
		return fmt.Errorf("process %d (%s): %w", t.pid, commandOf(t.pid), err)
	}
	if inVfork(t.pid, t.TID()) {
		return &vforkError{t} // it is not slow, it waits
	}
	return fmt.Errorf("process %d (%s) can't be stopped: %w; wait until it has done what it waits for, or give more time with --timeout",
		t.pid, commandOf(t.pid), err)
}

// waitOne waits for a task's EventStop. A signal that was just being delivered
// goes on its way first: the kernel sets up its handler, and the task stops
// before that runs.
func (h *Held) waitOne(ctx context.Context, t *task) error {
	for {
		stop, err := t.Wait(ctx)
		if err != nil {
			return err
		}
		switch {
		case stop.Kind == tracee.EventStop:
			t.stopped = true
			if err := t.Mend(h.calls[t.TID()]); err != nil {
				return err
			}
			return h.remember(t)
		case stop.Gone():
			t.gone = true
			return nil
		}
		if err := t.Continue(stop.Signal); err != nil {
			return err
		}
	}
}

// Small readers of /proc.

func readStat(pid, tid int) (procfs.TaskStat, error) {
	b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
	if err != nil {
		return procfs.TaskStat{}, err
	}
	return procfs.ParseTaskStat(string(b))
}

func readStatus(pid, tid int) (procfs.TaskStatus, error) {
	b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if err != nil {
		return procfs.TaskStatus{}, err
	}
	return procfs.ParseTaskStatus(string(b))
}

// threads lists the tasks of a process, the leader first; none if it is gone.
func threads(pid int) []int {
	return readNumbers(fmt.Sprintf("/proc/%d/task", pid))
}

// readNumbers lists the entries of a directory that are numbers, in its order.
func readNumbers(dir string) []int {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	var all []int
	for _, n := range names {
		if i, err := strconv.Atoi(n); err == nil {
			all = append(all, i)
		}
	}
	return all
}

func commandOf(pid int) string {
	b, _ := procfs.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSuffix(string(b), "\n")
}

func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

func last(numbers []int, otherwise int) int {
	if len(numbers) == 0 {
		return otherwise
	}
	return numbers[len(numbers)-1]
}
