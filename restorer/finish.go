package restorer

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/internal/trip"
	"lxc-checkpoint/restorer/memory"
	"lxc-checkpoint/restorer/namespaces"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/restorer/tasks"
)

// finish gives every process what is its own; nothing runs yet.
func (r *restart) finish() error {
	// As long as the first process has the rights and the room for it.
	if err := namespaces.LastPID(r.root, r.plan.Skeleton.Container.LastPid); err != nil {
		return err
	}
	if err := r.nestedLastPIDs(); err != nil {
		return err
	}
	if err := r.backing.Settle(r.plan.Skeleton); err != nil {
		return err
	}
	// When memory and files are what they were, and before anything is locked or
	// sealed.
	if err := r.files.Rings(r.ctx); err != nil {
		return err
	}
	err := memory.Undo(r.plan.Skeleton, r.space.InIPC, func(p *format.Process) place.Process { return r.leaders[p.Pid] })
	if err != nil {
		return err
	}
	if err := trip.At("settle the memory"); err != nil {
		return err
	}
	if err := r.keyrings(); err != nil {
		return err
	}
	done := map[uint32]bool{}
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		t := r.leaders[p.Pid]
		if !done[p.Mm] {
			done[p.Mm] = true
			if err := r.backing.Finish(t, r.plan.Skeleton.Mm(p.Mm)); err != nil {
				return fmt.Errorf("memory of process %d (%s): %w", p.Pid, name(p), err)
			}
		}
		if err := r.finishProcess(p, t); err != nil {
			return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
		}
	}
	if err := trip.At("finish the processes"); err != nil {
		return err
	}
	if err := r.linkKeyrings(); err != nil {
		return err
	}
	if err := r.foregrounds(); err != nil {
		return err
	}
	if err := r.takeForeground(); err != nil {
		return err
	}
	// When the processes have all that the programs could refuse them.
	if err := r.files.AttachPrograms(r.space.Cgroup2); err != nil {
		return err
	}
	if err := trip.At("attach the programs"); err != nil {
		return err
	}
	// From here on only the container has its files: a pipe whose other end is
	// gone says so.
	r.files.CloseFiles()
	if err := r.files.Lock(r.holders()); err != nil {
		return err
	}
	// Before anybody watches the files.
	if err := r.space.Settle(); err != nil {
		return err
	}
	if err := trip.At("lock the files"); err != nil {
		return err
	}
	if err := r.files.Arm(); err != nil {
		return err
	}
	if err := r.files.Close(); err != nil {
		return err
	}
	if r.files.CgroupsChanged() {
		if err := r.space.TellCgroups2(); err != nil {
			return fmt.Errorf("tell who watches the container's cgroups that they have changed: %w", err)
		}
	}
	if err := trip.At("arm the files"); err != nil {
		return err
	}
	if err := r.stop(); err != nil {
		return err
	}
	return r.finishSignals()
}

func (r *restart) finishProcess(p *format.Process, t *stub.Task) error {
	s := r.plan.Skeleton
	seen := map[uint32]bool{}
	for _, k := range p.Tasks {
		if !seen[k.Fs] {
			seen[k.Fs] = true
			if err := r.setFs(r.tasks[k.Tid], s.FsByID(k.Fs)); err != nil {
				return err
			}
		}
	}
	if err := tasks.Actions(t, s.Sighand(p.Sighand)); err != nil {
		return err
	}
	if p.ChildSubreaper {
		if err := tasks.Subreaper(t, true); err != nil {
			return err
		}
	}
	if err := tasks.OOMScore(t, p.OomScoreAdj); err != nil {
		return err
	}
	if err := tasks.Autogroup(t, p.AutogroupNice); err != nil {
		return err
	}
	if err := tasks.Limits(t, p.Limits); err != nil {
		return err
	}
	// Filters need rights that the credentials may take away. They are in force
	// only when we let go (PTRACE_O_SUSPEND_SECCOMP).
	if err := r.seccomp(p); err != nil {
		return err
	}
	for _, k := range p.Tasks {
		if !r.settled[p.Pid] {
			if err := r.childNamespaces(r.tasks[k.Tid], k); err != nil {
				return err
			}
		}
		if r.diedWithLXC(p) {
			k = proto.CloneOf(k)
			k.ParentDeathSignal = 0
		}
		if err := tasks.Thread(r.tasks[k.Tid], k, r.origin, s.UsersOf(p.Namespaces)); err != nil {
			return err
		}
	}
	return tasks.Dumpable(t, s.Mm(p.Mm).Dumpable)
}

// diedWithLXC tells whether a process was to be killed when LXC's monitor ends (LXC
// says so for the first one), and has none now: a native restart is its parent, and
// ends at once.
func (r *restart) diedWithLXC(p *format.Process) bool {
	return r.opts.Native && r.plan.Skeleton.Container.Name != "" && p == r.plan.Root
}

func (r *restart) setFs(t *stub.Task, f *format.Fs) error {
	fds := []int{}
	cwd, err := r.directory(f.MountNamespace, f.Cwd, f.CwdMemory)
	if err != nil {
		return err
	}
	fds = append(fds, cwd)
	if f.Root != "/" {
		root, err := r.directory(f.MountNamespace, f.Root, f.RootMemory)
		if err != nil {
			return err
		}
		fds = append(fds, root)
	}
	sent, err := t.Send(fds)
	if err != nil {
		return err
	}
	d := tasks.Directories{Cwd: sent[0], Root: -1}
	if len(sent) > 1 {
		d.Root = sent[1]
	}
	if err := tasks.Fs(t, d, f.Umask); err != nil {
		return err
	}
	for _, fd := range sent {
		if _, err := t.Call(unix.SYS_CLOSE, uint64(fd)); err != nil {
			return err
		}
	}
	return nil
}

// directory opens a directory of the container, or one that was removed.
func (r *restart) directory(namespace uint32, path string, removed uint32) (int, error) {
	if removed != 0 {
		return r.backing.Directory(removed), nil
	}
	return r.space.Directory(namespace, path)
}

func (r *restart) foregrounds() error {
	for _, p := range r.plan.Skeleton.Processes {
		if p.Terminal == nil || p.State == format.ProcessState_ZOMBIE {
			continue
		}
		group, _ := r.plan.Pids.as(p.Terminal.ForegroundGroup, p.Pid) // one that has ended has no number
		if err := r.files.Foreground(r.leaders[p.Pid], p.Terminal, group); err != nil {
			return fmt.Errorf("foreground group %d of terminal %s: %w", p.Terminal.ForegroundGroup, p.Terminal.Path, err)
		}
	}
	return nil
}

// finishSignals closes the control sockets, drops the signals that the building
// has caused, queues those that were pending, and starts timers.
func (r *restart) finishSignals() error {
	for _, t := range r.tableOwners() {
		if err := t.CloseControl(); err != nil {
			return err
		}
	}
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		if err := r.finishProcessSignals(p); err != nil {
			return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
		}
	}
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		if err := r.posixTimers(p).Start(); err != nil {
			return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
		}
		if len(p.Timers) > 0 {
			if err := tasks.Timers(r.leaders[p.Pid], p.Timers); err != nil {
				return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
			}
		}
	}
	return nil
}

func (r *restart) finishProcessSignals(p *format.Process) error {
	t, timers := r.leaders[p.Pid], r.posixTimers(p)
	if err := tasks.Flush(t); err != nil {
		return err
	}
	if err := timers.Make(); err != nil {
		return err
	}
	if err := timers.Overruns(); err != nil {
		return err
	}
	if err := tasks.SharedPending(t, r.plan.Pids.ownNumber(p.Pid), p.Pending, timers); err != nil {
		return err
	}
	for _, k := range p.Tasks {
		if err := tasks.Pending(r.tasks[k.Tid], r.plan.Pids.ownNumber(p.Pid), r.plan.Pids.ownNumber(k.Tid), k.Pending, timers); err != nil {
			return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
		}
	}
	return tasks.LateLimits(t, p.Limits)
}

func (r *restart) posixTimers(p *format.Process) *tasks.PosixTimers {
	return &tasks.PosixTimers{
		Process: p, Number: r.plan.Pids.ownNumber,
		Task:    func(tid uint32) place.Process { return r.tasks[tid] },
		Pending: func(tid uint32, shared bool) ([][]byte, error) { return r.tasks[tid].Thread.PendingSignals(shared) },
		Now:     func() (clocks.Times, error) { return r.clocks(p) },
		Then:    r.plan.Skeleton.Header.TimeNs,
	}
}

// clocks are the kernel's clocks as a process sees them.
func (r *restart) clocks(p *format.Process) (clocks.Times, error) {
	now, err := clocks.Now()
	if err != nil {
		return now, err
	}
	offsets, err := r.space.TimeOffsets(p)
	if errors.Is(err, os.ErrNotExist) {
		return now, nil
	}
	return now.Shifted(offsets), err
}
