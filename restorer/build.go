package restorer

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/internal/action"
	"lxc-checkpoint/internal/links"
	"lxc-checkpoint/internal/trip"
	"lxc-checkpoint/restorer/fds"
	"lxc-checkpoint/restorer/memory"
	"lxc-checkpoint/restorer/namespaces"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/restorer/stage"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/restorer/tasks"
	"lxc-checkpoint/tracee"
)

// restart is a restart under way: the stubs, and what they are to become.
type restart struct {
	ctx     context.Context
	opts    Options
	log     *slog.Logger
	plan    *Plan
	img     *reader.Reader
	poured  atomic.Int64 // bytes
	stage   stage.Stage
	root    *stub.Task
	born    map[uint32][]uint32   // the namespaces that each process is in
	bears   map[uint32][]uint32   // those that its children are born into
	settled map[uint32]bool       // processes that have what their children are to be in
	keyed   map[uint32]bool       // tasks that have their session keyring
	level   int                   // of the container's pid namespace, from ours
	leaders map[uint32]*stub.Task // processes by their number, helpers too
	tasks   map[uint32]*stub.Task // threads by theirs
	zombies map[uint32]bool
	files   *fds.Restart
	backing *memory.Backing
	space   *namespaces.Root
	// Seccomp filters that every task has from the stage: LXC loads those of
	// its config.
	filters []tracee.SeccompFilter
	origin  tasks.Origin
	gone    bool // the tasks have been let go
}

// begin gets the first process from the stage.
func begin(ctx context.Context, img *reader.Reader, plan *Plan, o Options) (*restart, error) {
	r := &restart{
		ctx: ctx, opts: o, log: o.Log, plan: plan, img: img,
		born: map[uint32][]uint32{}, bears: map[uint32][]uint32{}, settled: map[uint32]bool{}, keyed: map[uint32]bool{}, leaders: map[uint32]*stub.Task{}, tasks: map[uint32]*stub.Task{}, zombies: map[uint32]bool{},
	}
	if err := o.hangVeths(); err != nil {
		return nil, err
	}
	need := stage.Need{Skeleton: plan.Skeleton, Area: plan.Area, Highest: plan.Highest, Timeout: o.Timeout, Log: o.Log}
	need.Job = o.Job != nil
	if o.Native {
		r.stage = stage.NewNative(o.Name, o.Cgroup, need)
	} else {
		r.stage = stage.NewLXC(o.Name, o.LXCPath, o.Config, need)
	}
	root, err := r.stage.Begin(ctx)
	if err != nil {
		return nil, undone(err, r.stage.Undo())
	}
	r.root = root
	r.leaders[plan.Root.Pid], r.tasks[plan.Root.Pid], r.born[plan.Root.Pid] = root, root, plan.Root.Namespaces
	r.bears[plan.Root.Pid] = plan.Root.Namespaces
	if r.level, err = levelOf(root); err != nil {
		r.undo(&err)
		return nil, err
	}
	if err = r.enter(); err == nil {
		err = r.bearing(plan.Root, root)
	}
	if err != nil {
		r.undo(&err)
		return nil, err
	}
	return r, nil
}

// enter finishes the first process's surroundings, and opens the rooms.
func (r *restart) enter() (err error) {
	if err := r.at(action.SetupNamespaces); err != nil {
		return err
	}
	if r.space, err = namespaces.Enter(r.plan.Skeleton, r.root, r.helper, namespaces.Surroundings{
		HostMounts: r.opts.Native || r.plan.Skeleton.Container.Rootfs == "", AsCopy: r.opts.AsCopy, Veth: r.opts.Veth, External: r.opts.External,
	}, r.log); err != nil {
		return err
	}
	if err := trip.At("enter the namespaces"); err != nil {
		return err
	}
	if err := r.at(action.PostSetupNamespaces); err != nil {
		return err
	}
	if r.filters, err = r.root.Thread.SeccompFilters(); err != nil {
		return err
	}
	r.origin = tasks.OriginOf(r.root)
	if r.files, err = fds.New(r.plan.Skeleton, r.root, r.log); err != nil {
		return err
	}
	if err := trip.At("open the files"); err != nil {
		return err
	}
	r.files.CloseTCP = r.opts.CloseTCP || r.opts.AsCopy // the peers are the other one's
	r.files.AsCopy = r.opts.AsCopy
	r.files.AllowChanged = r.opts.AllowChanged
	r.files.External = r.opts.External
	r.files.Namespace = r.space.Namespace
	r.files.RootOf = r.space.RootOf
	r.files.InIPC = r.space.InIPC
	r.files.Users = r.usersOf
	r.files.Task = func(tid uint32) place.Process {
		if t := r.tasks[tid]; t != nil {
			return t
		}
		return nil
	}
	r.files.Space = r.spaceOwner
	r.files.Number = func(pid int, number uint32) (uint32, error) { return r.plan.Pids.as(number, r.numberOf(pid)) }
	r.files.EnterCgroup = func(path string) error { return r.space.EnterCgroup2(r.root, path) }
	// Before any copy of the first process: each copy inherits them.
	if r.backing, err = memory.Open(r.plan.Skeleton, r.files, r.root, memory.IPC{In: r.space.InIPC, Enter: r.space.EnterIPC}); err != nil {
		return err
	}
	r.files.Memory = r.backing
	return trip.At("open the memory")
}

// undo removes what was made, unless the restart has succeeded.
func (r *restart) undo(err *error) {
	if p := recover(); p != nil {
		defer panic(p)
		*err = fmt.Errorf("panic: %v", p)
	}
	if r.files != nil {
		if *err != nil && !r.gone {
			r.files.DetachPrograms()
		}
		r.files.Close()
		for _, master := range r.files.Outside {
			master.Close()
		}
	}
	if r.backing != nil {
		r.backing.Close()
	}
	if r.space != nil {
		r.space.Close()
	}
	if r.root != nil {
		r.root.Close()
	}
	if *err == nil || r.gone {
		return
	}
	*err = undone(*err, r.tearDown())
}

// tearDown kills the stubs, whoever they have become.
func (r *restart) tearDown() error {
	all := make([]*stub.Task, 0, len(r.tasks))
	for _, t := range r.tasks {
		all = append(all, t)
	}
	for pid, t := range r.leaders {
		if _, isTask := r.tasks[pid]; !isTask {
			all = append(all, t)
		}
	}
	if r.ownNetwork() && r.root != nil {
		// A connection ends with a packet to its peer, who is to wait for the
		// next restart. If it fails, the peers hear of the end.
		_, _ = links.Disconnect(r.root.PID())
	}
	err := stub.KillAll(all, r.opts.Timeout)
	// LXC removes its cgroups with all that is in them. To remove some meanwhile
	// makes it give up (5.0), and the next start get others.
	if r.space != nil && r.opts.Native {
		r.space.UndoCgroups()
	}
	if undo := r.stage.Undo(); undo != nil {
		return undo
	}
	return err
}

// enterCgroups puts all processes and threads into their cgroups.
func (r *restart) enterCgroups() error {
	numbers := map[uint32]int{}
	for tid, t := range r.tasks {
		numbers[tid] = t.PID()
	}
	return r.space.EnterCgroups(numbers)
}

// mapMemory gives every address space its mappings, still empty but for what was
// inherited.
func (r *restart) mapMemory() error {
	vdso, err := memory.NewVdso(r.plan.Skeleton.Header, r.root.Family)
	if err != nil {
		return err
	}
	done := map[uint32]bool{}
	page := uint64(r.plan.Skeleton.Header.PageSize)
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE || done[p.Mm] {
			continue
		}
		done[p.Mm] = true
		if err := r.backing.Map(r.leaders[p.Pid], r.plan.Skeleton.Mm(p.Mm), vdso, r.plan.Pieces[p.Mm], page); err != nil {
			return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
		}
	}
	return nil
}

// makeFiles makes the open file descriptions, plants them into all tables, and
// connects those that refer to others.
func (r *restart) makeFiles() error {
	if err := r.files.Make(r.ctx); err != nil {
		return err
	}
	if err := r.space.SetIPC(); err != nil {
		return err
	}
	if err := r.files.Join(r.ctx, people{r}); err != nil {
		return err
	}
	if err := r.enterAllUsers(); err != nil {
		return err
	}
	owners := r.tableOwners()
	for _, do := range []func(*stub.Task, *format.Files) error{
		func(t *stub.Task, f *format.Files) error { return r.files.Plant(t, f) },
		func(t *stub.Task, f *format.Files) error { return r.files.Wire(t, f) },
	} {
		for _, f := range r.plan.Skeleton.Files {
			t, ok := owners[f.Id]
			if !ok {
				continue
			}
			if err := do(t, f); err != nil {
				return fmt.Errorf("descriptors of process %d: %w", t.PID(), err)
			}
		}
	}
	return nil
}

// people are the processes as sockets ask for them.
type people struct{ *restart }

// Leader is the process with a number.
func (r people) Leader(pid uint32) place.Process {
	if t := r.leaders[pid]; t != nil {
		return t
	}
	return nil
}

// With makes a process with a number for a while.
func (r people) With(pid uint32, fn func(place.Process) error) error {
	if r.tasks[pid] != nil {
		return fmt.Errorf("it is the number of a thread now: %w", unix.EEXIST)
	}
	t, err := r.root.Fork(0, int(unix.SIGCHLD), pid)
	if err != nil {
		return err
	}
	err = fn(t)
	if e := t.End(r.root, int(pid)); e != nil && err == nil {
		err = e
	}
	return err
}

// tableOwners finds for each descriptor table one task that has it.
func (r *restart) tableOwners() map[uint32]*stub.Task {
	owners := map[uint32]*stub.Task{}
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		for _, k := range p.Tasks {
			if _, have := owners[k.Files]; !have {
				owners[k.Files] = r.tasks[k.Tid]
			}
		}
	}
	return owners
}

// spaceOwner is a process that has an address space.
func (r *restart) spaceOwner(mm uint32) place.Process {
	for _, p := range r.plan.Skeleton.Processes {
		if p.Mm == mm && p.State != format.ProcessState_ZOMBIE {
			return r.leaders[p.Pid]
		}
	}
	return nil
}

// holders lists all tasks with the descriptor tables that they have.
func (r *restart) holders() []fds.Holder {
	var all []fds.Holder
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		for _, k := range p.Tasks {
			all = append(all, fds.Holder{Process: p.Pid, Table: k.Files, Task: r.tasks[k.Tid]})
		}
	}
	return all
}
