package dumper

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

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

	at         clocks.Times            // of the hold: what remains is counted from here
	told       map[int]*view.TaskFacts // by the teller; nil: nothing
	found      []*tasks.Process        // in the order of held.Processes
	facts      map[uint32]memory.Facts
	spaces     []memory.Space
	tables     []fds.Table
	fs         []tasks.Object
	rings      map[uint64]uint32              // of io_uring, by their first pages
	aio        map[uint32][]kernel.AioContext // of each address space
	aioUnknown error                          // why nobody tells of them
	contents   *memory.Memory

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
	return l.skeleton, l.contents, nil
}

// close gives up what the look has opened.
func (l *looking) close() {
	l.kernel.Close()
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
		looker, err := tasks.New(l.ids, processes, tasks.Options{Facts: l.told, At: l.at, SeccompProfile: l.container.SeccompProfile, ShellJob: l.o.ShellJob, Ask: func(o tasks.Object, r *tracee.Remote) (err error) {
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
					Membarrier: known.Membarrier, LDT: known.LDT,
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

// lookAtNamespaces looks at the namespaces and cgroups of the processes, and
// completes the header, whose clocks are the container's.
func (l *looking) lookAtNamespaces() error {
	var processes []namespaces.Process
	var alive []*format.Process
	for i, p := range l.held.Processes() {
		if p.Zombie {
			continue
		}
		n := namespaces.Process{PID: p.Alive(), NSPID: int(l.found[i].Pid), Command: p.Command}
		for _, t := range p.Threads {
			n.Tasks = append(n.Tasks, t.TID())
		}
		processes = append(processes, n)
		alive = append(alive, l.found[i].Process)
	}
	result, refused, err := namespaces.Look(l.ids, processes, l.told)
	if err != nil {
		return err
	}
	l.world = result
	err = result.LookAtMounts(l.ids, namespaces.Mounts{Configured: l.container.ConfiguredMounts, LXC: l.container.Name != "" && l.container.Rootfs != "", External: l.o.ExternalMounts})
	if err != nil {
		return err
	}
	l.refuse(refused)
	l.skeleton.Namespaces, l.skeleton.FileSystems = result.Namespaces, result.FileSystems
	l.objects.Segments = result.Segments
	if l.told == nil {
		if err := l.askUndo(); err != nil {
			return err
		}
	}
	l.checkUndo()
	for i, p := range alive {
		p.Namespaces = result.IDs(&processes[i])
		ended := len(p.Tasks) - len(processes[i].Tasks) // 1: the leader has
		for j, t := range processes[i].Tasks {
			p.Tasks[ended+j].Namespaces = result.ThreadIDs(&processes[i], t)
			p.Tasks[ended+j].ChildNamespaces, p.Tasks[ended+j].UnbornNamespace = result.Children(t)
		}
	}
	if err := l.lookAtCgroups(processes, alive); err != nil {
		return err
	}
	l.refuse(result.Refused())
	for _, what := range result.Lost {
		l.o.Log.Warn("a restart will not bring back " + what)
		if l.o.Lost != nil {
			l.o.Lost(what)
		}
	}
	if err := l.openRoots(); err != nil {
		return err
	}
	l.skeleton.Container.CloneFlags = result.Flags()
	if result.Flags()&unix.CLONE_NEWPID != 0 {
		l.skeleton.Container.LastPid = l.lastPID()
	}
	l.nestedLastPIDs()
	l.skeleton.Header, err = header(l.o.Tool, l.at.Shifted(result.Offsets))
	return err
}

// lookAtCgroups looks at the container's cgroups, and at who is in which.
func (l *looking) lookAtCgroups(processes []namespaces.Process, alive []*format.Process) error {
	cgroups, err := namespaces.Cgroups(filepath.Base(l.container.CgroupDir), processes, l.told)
	if err != nil {
		return err
	}
	l.cgroup2 = cgroups.Own("")
	if l.skeleton.CgroupTrees, err = cgroups.Trees(l.o.Log); err != nil {
		return err
	}
	several := slices.ContainsFunc(l.skeleton.CgroupTrees, func(t *format.CgroupTree) bool { return len(t.Cgroups) > 1 })
	for i, p := range alive {
		p.Cgroups = cgroups.Processes[i]
		if err := l.world.CgroupRoots(&processes[i], p.Cgroups); err != nil {
			return err
		}
		if !several || len(processes[i].Tasks) == 1 {
			continue
		}
		ended := len(p.Tasks) - len(processes[i].Tasks) // 1: the leader has
		for j, t := range processes[i].Tasks {
			if p.Tasks[ended+j].Cgroups, err = cgroups.Thread(i, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// lastPID is the number that the container's pid namespace gave out last. If no
// teller tells, it is the highest that is in use.
func (l *looking) lastPID() uint32 {
	highest := uint32(0)
	for _, f := range l.found {
		for _, t := range f.Tasks {
			highest = max(highest, t.Tid)
		}
	}
	if l.told == nil || l.told[l.first().Alive()] == nil {
		return highest
	}
	return l.told[l.first().Alive()].LastPID
}

// nestedLastPIDs notes the same of pid namespaces that programs have made. The
// children of the first process in each are in it, unless it has said otherwise.
func (l *looking) nestedLastPIDs() {
	for _, n := range l.world.NestedPID() {
		for i, f := range l.found {
			if !slices.Contains(f.Namespaces, n.Id) {
				continue
			}
			inner := f.Tasks[0].InnerTids
			for _, t := range f.Tasks {
				n.LastPid = max(n.LastPid, t.InnerTids[len(inner)-1])
			}
			told := l.told[l.held.Processes()[i].Alive()]
			if told != nil && inner[len(inner)-1] == 1 && len(f.Tasks[0].ChildNamespaces) == 0 {
				n.LastPid = max(n.LastPid, told.LastPID)
			}
		}
	}
}

// openRoots opens the roots of the mount namespaces: what paths count from.
func (l *looking) openRoots() (err error) {
	for _, n := range l.world.MountNamespaces() {
		root, err := view.OpenRoot(n.PID)
		if err != nil {
			return err
		}
		if !n.Nested {
			l.root = root
			continue
		}
		mounts := map[int]bool{}
		for _, m := range n.Mounts {
			mounts[int(m.MountId)] = true
		}
		l.nested = append(l.nested, view.NestedRoot{Root: root, ID: n.ID, Mounts: mounts})
	}
	return nil
}

// rootOf is the root of the mount namespace that a task is in, and which one
// that is; 0 is the container's first one.
func (l *looking) rootOf(pid int) (*view.Root, uint32) {
	id, _ := l.world.MountNamespace(pid)
	for _, n := range l.nested {
		if n.ID == id {
			return n.Root, id
		}
	}
	return l.root, 0
}

// lookAtDescriptors looks at the descriptor tables, which also know the names
// of the container's terminals.
func (l *looking) lookAtDescriptors() error {
	queues, err := l.lookAtQueues()
	if err != nil {
		return err
	}
	env := fds.Env{
		Queues: queues,
		First:  l.first().Alive(), IDs: l.ids, Namespaces: map[uint64]uint32{}, Nested: l.nested,
		Tasks: l.numbers(), Objects: l.objects, Programs: l.programs, Ask: l.askSocket, Connections: l.connections, RefuseTCP: l.o.RefuseTCP, ShellJob: l.o.ShellJob, Log: l.o.Log,
		Kernel: l.kernelMemory(), Facts: l.told, Enter: l.enterRing,
		External: l.o.External,
	}
	env.Networks = l.world.Networks()
	for _, n := range l.skeleton.Namespaces {
		env.Namespaces[n.Inode] = n.Id
	}
	result, refused, err := fds.Look(l.ctx, env, l.tables)
	if err != nil {
		return err
	}
	l.refuse(refused)
	l.rings = result.Rings
	l.skeleton.MessageQueues = queues.Found
	l.skeleton.Files, l.skeleton.OpenFiles, l.skeleton.Pipes = result.Files, result.OpenFiles, result.Pipes
	l.skeleton.BpfMaps, l.skeleton.BpfPrograms, l.skeleton.BpfAttachments = l.programs.Maps, l.programs.Programs, l.programs.Attachments
	l.refuse(queues.Refused())
	l.checkQueues()
	l.nameTerminals(result)
	return nil
}

// kernelMemory is who reads the kernel's memory; nil if there is no eBPF. It is
// loaded when somebody asks for the first time.
func (l *looking) kernelMemory() func() (view.Kernel, error) {
	if l.told == nil {
		return nil
	}
	return func() (view.Kernel, error) {
		if l.kernel == nil {
			m, err := bpf.OpenMemory()
			if err != nil {
				return nil, err
			}
			l.kernel = m
		}
		return l.kernel, nil
	}
}

// numbers are those of all tasks in the container's pid namespace, by the host's.
func (l *looking) numbers() map[int]uint32 {
	numbers := map[int]uint32{}
	for i, p := range l.held.Processes() {
		numbers[p.PID] = l.found[i].Pid
		first := 0
		if p.LeaderEnded {
			first = 1 // the leader, which the hold does not have
		}
		for j, t := range p.Threads {
			if first+j < len(l.found[i].Tasks) { // not what was refused
				numbers[t.TID()] = l.found[i].Tasks[first+j].Tid
			}
		}
	}
	return numbers
}

// nameTerminals names the controlling terminal of each session.
func (l *looking) nameTerminals(result *fds.Result) {
	refused := map[uint32]bool{} // sessions
	for _, f := range l.found {
		if f.TerminalMajor == 0 && f.TerminalMinor == 0 {
			continue
		}
		path, ok := result.TerminalPath(f.TerminalMajor, f.TerminalMinor, l.tablesOf(f.Session))
		switch {
		case !ok && f.Terminal == nil && result.IsHostTerminal(f.TerminalMajor, f.TerminalMinor) && !l.leads(f.Session):
			// Its session's leader is outside: the shell that has started it.
		case !ok && !refused[f.Session]:
			refused[f.Session] = true
			l.refuse(refusal.List{{
				PID: int(f.Pid), Command: f.Tasks[0].Name, Kind: "controlling terminal",
				Reason: fmt.Sprintf("that of its session %d, device %d:%d, is not the console or a tty that LXC gave the container, or no process of the session has it open", f.Session, f.TerminalMajor, f.TerminalMinor),
				Remedy: "end the session that it belongs to, take it along if that is one of lxc-attach or a shell without LXC (--shell-job), or start the program with setsid",
			}})
		case f.Terminal != nil:
			f.Terminal.Path = path
		}
	}
}

// leads tells whether a process of the container leads a session.
func (l *looking) leads(session uint32) bool {
	return slices.ContainsFunc(l.found, func(p *tasks.Process) bool { return p.Pid == session })
}

// tablesOf are the descriptor tables of the processes in a session.
func (l *looking) tablesOf(session uint32) map[uint32]bool {
	tables := map[uint32]bool{}
	for _, f := range l.found {
		for _, t := range f.Tasks {
			if f.Session == session {
				tables[t.Files] = true
			}
		}
	}
	return tables
}

// lookAtMemory looks at the address spaces.
func (l *looking) lookAtMemory() error {
	m, refused, err := memory.Look(l.ctx, memory.Env{Root: l.root, Nested: l.nested, IDs: l.ids, Objects: l.objects, Workers: l.o.Workers, Rings: l.rings, Aio: l.aio, AioUnknown: l.aioUnknown, Kin: l.kin()}, l.spaces)
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
	l.contents, l.world = m, nil
	l.skeleton.Mms, l.skeleton.SharedMemories, l.skeleton.Inherited = m.Mms, m.Shared, m.Inherited
	l.skeleton.Layout = &format.Layout{Contents: m.Contents}
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
