package dumper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lxc-checkpoint/container"
	"lxc-checkpoint/dumper/bpf"
	"lxc-checkpoint/dumper/fds"
	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/dumper/memory"
	"lxc-checkpoint/dumper/namespaces"
	"lxc-checkpoint/dumper/programs"
	"lxc-checkpoint/dumper/ptrace"
	"lxc-checkpoint/dumper/tasks"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/tracee"
)

// looking is a look at a held container under way: the rooms look one after
// the other, each at what those before it have found.
type looking struct {
	ctx       context.Context
	container *container.Container
	held      *ptrace.Held
	// TCP connections, silent from the look on.
	connections *fds.Connections
	o           Options
	teller      *bpf.Teller // nil: there is none
	kernel      *bpf.Memory // nil until needed
	ids         *view.IDs
	objects     *view.Objects
	programs    *programs.Looker
	cgroup2     string // path of the container's own in the v2 hierarchy
	skeleton    *format.Skeleton
	refused     refusal.List

	at          clocks.Times            // of the hold: what remains is counted from here
	told        map[int]*view.TaskFacts // by the teller; nil: nothing
	found       []*tasks.Process        // in the order of held.Processes
	facts       map[uint32]memory.Facts
	spaces      []memory.Space
	tables      []fds.Table
	fs          []tasks.Object
	rings       map[uint64]uint32              // of io_uring, by their first pages
	packetRings map[uint64]*fds.PacketRings    // by the inodes of their sockets
	aio         map[uint32][]kernel.AioContext // of each address space
	aioUnknown  error                          // why nobody tells of them
	contents    *memory.Memory

	world  *namespaces.Result
	root   *view.Root        // of the container's first mount namespace
	nested []view.NestedRoot // of those that programs have made
}

// look finds out everything but the bytes. It returns a refusal.List of all
// that can't be saved.
func look(ctx context.Context, c *container.Container, held *ptrace.Held, connections *fds.Connections, teller *bpf.Teller, o Options) (*format.Skeleton, *memory.Memory, error) {
	ids := &view.IDs{}
	objects := &view.Objects{IDs: ids, MaxDeleted: o.MaxDeleted}
	l := &looking{
		ctx: ctx, container: c, held: held, connections: connections, teller: teller, o: o,
		ids: ids, objects: objects, programs: programs.New(ids), skeleton: &format.Skeleton{}, facts: map[uint32]memory.Facts{}, aio: map[uint32][]kernel.AioContext{},
	}
	var err error
	if l.at, err = clocks.Now(); err != nil {
		return nil, nil, err
	}
	defer l.close()
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"tasks", l.lookAtTasks},
		{"namespaces", l.lookAtNamespaces},
		{"directories", l.lookAtFs},
		{"programs of cgroups", l.lookAtPrograms},
		{"asynchronous I/O", l.lookAtAio},
		{"descriptors", l.lookAtDescriptors},
		{"memory", l.lookAtMemory},
	} {
		begin := time.Now()
		if err := step.do(); err != nil {
			return nil, nil, err
		}
		o.Log.Debug("looked", "at", step.what, "time", time.Since(begin))
	}
	if err := l.refused.Err(); err != nil {
		if l.contents != nil {
			l.contents.Close()
		}
		return nil, nil, err
	}
	if o.After == Kill {
		l.held.SpareAtKill(l.endings())
	}
	return l.skeleton, l.contents, nil
}

// close gives up what the look has opened.
func (l *looking) close() {
	l.kernel.Close()
	for _, r := range l.packetRings {
		r.Close()
	}
	if l.world != nil {
		l.world.Close()
	}
	if l.root != nil {
		l.root.Close()
	}
	for _, n := range l.nested {
		n.Close()
	}
}

func (l *looking) refuse(list refusal.List) { l.refused = append(l.refused, list...) }

// lookAtTasks looks at every process on the thread that traces it, and sorts
// out what they share for the other rooms.
func (l *looking) lookAtTasks() error {
	processes := l.held.Processes()
	l.told = l.tell(processes)
	err := l.held.Do(func() error {
		looker, err := tasks.New(l.ids, processes, tasks.Options{Facts: l.told, At: l.at, Limits: l.held.Limits(), SeccompProfile: l.container.SeccompProfile, ShellJob: l.o.ShellJob, Ask: func(o tasks.Object, r *tracee.Remote) (err error) {
			l.facts[o.ID], err = memory.Ask(r)
			return err
		}, AskSettings: func(o tasks.Object, r *tracee.Remote) error {
			s, err := memory.AskSettings(r)
			l.facts[o.ID] = memory.Facts{Settings: s}
			return err
		}})
		if err != nil {
			return err
		}
		for _, p := range processes {
			found, refused, err := looker.Look(l.ctx, p)
			if err != nil {
				return err
			}
			l.refuse(refused)
			l.found = append(l.found, found)
		}
		l.describeContainer(looker.SeccompFilters())
		return nil
	})
	if err != nil {
		return err
	}
	for i, f := range l.found {
		l.skeleton.Processes = append(l.skeleton.Processes, f.Process)
		if f.Sighand != nil {
			l.skeleton.Sighands = append(l.skeleton.Sighands, f.Sighand)
		}
		l.skeleton.SeccompFilters = append(l.skeleton.SeccompFilters, f.SeccompFilters...)
		l.skeleton.SessionKeyrings = append(l.skeleton.SessionKeyrings, f.SessionKeyrings...)
		for _, o := range f.Objects {
			if known := l.told[o.PID]; known != nil && o.Kind == tasks.Mm {
				l.facts[o.ID] = memory.Facts{
					Brk: known.Brk, Dumpable: known.Dumpable, LockFuture: known.LockFuture, Settings: l.facts[o.ID].Settings,
					Membarrier: known.Membarrier, Keys: known.Keys,
				}
			}
			l.note(o, i == 0)
		}
	}
	return nil
}

// tell has the teller tell, if there is one.
func (l *looking) tell(processes []*ptrace.Process) map[int]*view.TaskFacts {
	if l.teller == nil {
		return nil
	}
	var pids []int
	for _, p := range processes {
		if !p.Zombie {
			pids = append(pids, p.PID)
		}
	}
	facts, err := l.teller.Tasks(pids)
	if err != nil {
		l.o.Log.Warn("eBPF tells nothing: tasks will be asked", "why", err)
	}
	return facts
}

// note hands an object that tasks share to the room that it belongs to.
func (l *looking) note(o tasks.Object, first bool) {
	switch o.Kind {
	case tasks.Mm:
		l.spaces = append(l.spaces, memory.Space{
			ID: o.ID, PID: o.PID, NSPID: o.NSPID, Command: o.Command,
			Foreign: first && l.container.Executed, Facts: l.facts[o.ID],
		})
	case tasks.Files:
		l.tables = append(l.tables, fds.Table{ID: o.ID, PID: o.PID, NSPID: o.NSPID, Command: o.Command})
	case tasks.Fs:
		l.fs = append(l.fs, o)
	}
}

// lookAtMemory looks at the address spaces.
func (l *looking) lookAtMemory() error {
	env := memory.Env{Root: l.root, Nested: l.nested, IDs: l.ids, Objects: l.objects, Workers: l.o.Workers, Rings: l.rings, PacketRings: map[uint64]memory.PacketRing{}, Aio: l.aio, AioUnknown: l.aioUnknown, Kin: l.kin()}
	for inode, r := range l.packetRings {
		env.PacketRings[inode] = memory.PacketRing{File: r.File, Size: uint64(len(r.Bytes))}
	}
	m, refused, err := memory.Look(l.ctx, env, l.spaces)
	if err != nil {
		return err
	}
	l.refuse(refused)
	for _, t := range l.world.Trees {
		for _, f := range t.Files {
			if err := m.AddFile(f.Content, f.Path, f.Size); err != nil {
				return fmt.Errorf("file in a %s of the container: %w", t.Fstype, err)
			}
		}
	}
	m.OnClose(l.world.Close)
	for _, r := range l.packetRings {
		m.AddBytes(r.Content, r.Bytes)
		m.OnClose(r.Close)
	}
	l.packetRings = nil
	l.contents, l.world = m, nil
	l.skeleton.Mms, l.skeleton.SharedMemories, l.skeleton.Inherited = m.Mms, m.Shared, m.Inherited
	l.skeleton.Layout = &format.Layout{Contents: m.Contents}
	l.checkAttached()
	return nil
}

// kin says who would be forked by whom at a restart; nil if nobody knows. What
// could not be restarted at all is refused later.
func (l *looking) kin() *memory.Kin {
	if l.o.Forks == nil || len(l.refused) > 0 {
		return nil
	}
	forks, err := l.o.Forks(l.skeleton)
	if err != nil {
		return nil
	}
	return &memory.Kin{
		Forks: forks,
		Mm: func(pid uint32) uint32 {
			return l.skeleton.Process(pid).GetMm()
		},
		Check: func(mms []*format.Mm, inherited []*format.Inherited) *format.InheritError {
			l.skeleton.Mms, l.skeleton.Inherited = mms, inherited
			var cannot *format.InheritError
			errors.As(l.o.Check(l.skeleton), &cannot)
			return cannot
		},
	}
}

// first is the container's first process.
func (l *looking) first() *ptrace.Process { return l.held.Processes()[0] }

// describeContainer says what is checkpointed.
func (l *looking) describeContainer(filters int) {
	c := l.container
	l.skeleton.Container = &format.Container{
		Name: c.Name, Lxcpath: c.LXCPath, Rootfs: c.Rootfs,
		RootPid: l.found[0].Pid, WasFrozen: l.held.WasFrozen(),
		InitSeccompFilters: uint32(filters), WasExecuted: c.Executed,
	}
}
