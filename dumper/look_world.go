package dumper

import (
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/namespaces"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
)

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
	l.objects.Segments, l.objects.SeveralIPC = result.Segments, result.SeveralIPC
	for i, p := range alive {
		p.Namespaces = result.IDs(&processes[i])
		ended := len(p.Tasks) - len(processes[i].Tasks) // 1: the leader has
		for j, t := range processes[i].Tasks {
			p.Tasks[ended+j].Namespaces = result.ThreadIDs(&processes[i], t)
			p.Tasks[ended+j].ChildNamespaces, p.Tasks[ended+j].UnbornNamespace = result.Children(t)
		}
	}
	if l.told == nil {
		if err := l.askUndo(); err != nil {
			return err
		}
	}
	l.checkUndo()
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
