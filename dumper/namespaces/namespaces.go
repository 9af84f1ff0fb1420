// Package namespaces looks at the namespaces of a container's tasks, at what
// lives in them, and at the cgroups of its processes. It only reads.
package namespaces

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// Process is one whose namespaces are looked at. Zombies have none.
type Process struct {
	PID     int   // host's
	Tasks   []int // host's
	NSPID   int   // in the container
	Command string
}

// Result is what was found.
type Result struct {
	Namespaces  []*format.Namespace
	FileSystems []*format.FileSystem
	// Trees are those FileSystems whose files belong into the image.
	Trees []*Tree
	// Offsets of the container's clocks against those of the first time
	// namespace.
	Offsets procfs.TimeOffsets
	// Segments are the System V segments of IPC namespaces of its own.
	Segments map[view.SegmentKey]*view.Segment
	// SeveralIPC: programs have made IPC namespaces.
	SeveralIPC bool
	// Queues are the POSIX message queues of IPC namespaces of its own.
	Queues []Queues

	// Lost is what a restart will not bring back, though nothing is refused: a
	// sentence each.
	Lost []string

	links   []lower     // of network namespaces, to be settled when all are known
	sets    map[int]set // of each task, by its host's number
	seen    map[view.Namespaces]set
	objects map[key]*object
	order   []*object
	refused refusal.List // of what lives in a namespace

	overlays map[uint32]obstacle // that programs have mounted, by their file systems
}

// set are the namespaces of a task, by their numbers.
type set struct {
	in       []uint32 // one of each kind
	children []uint32 // that its children will be in, as far as they are others
	unborn   bool     // its children will be in a pid namespace that nobody is in yet
}

// key tells namespaces apart.
type key struct {
	kind  format.NamespaceKind
	inode uint64
}

// object is a namespace, and a task that is in it.
type object struct {
	*format.Namespace
	name   string // as /proc/PID/ns has it
	pid    int    // of the task, host's; 0: nobody is in it
	fd     int    // without a task: ours
	nested bool   // the container's first process is not in it
	who    *Process
}

// path is where the namespace can be opened.
func (o *object) path() string {
	if o.pid == 0 {
		return fmt.Sprintf("/proc/self/fd/%d", o.fd)
	}
	return fmt.Sprintf("/proc/%d/ns/%s", o.pid, o.name)
}

// IDs are the numbers of the namespaces that a process is in, one of each kind.
func (r *Result) IDs(p *Process) []uint32 {
	for _, tid := range p.Tasks { // a first thread that has ended has none
		if ids := r.sets[tid].in; len(ids) > 0 {
			return ids
		}
	}
	return nil
}

// ThreadIDs are those of a thread's namespaces that are not its process's.
func (r *Result) ThreadIDs(p *Process, tid int) []uint32 {
	var ids []uint32
	for _, id := range r.sets[tid].in {
		if !slices.Contains(r.IDs(p), id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Children are the namespaces that a task's children will be in, as far as it is
// in others itself; unborn: and a pid namespace that nobody is in yet.
func (r *Result) Children(tid int) (ids []uint32, unborn bool) {
	return r.sets[tid].children, r.sets[tid].unborn
}

// NestedPID lists the pid namespaces that programs have made.
func (r *Result) NestedPID() []*format.Namespace {
	var all []*format.Namespace
	for _, o := range r.order {
		if o.Kind == format.NamespaceKind_PID && o.nested && o.Own {
			all = append(all, o.Namespace)
		}
	}
	return all
}

// MountNamespace is the mount namespace that a task is in, and a task in it by
// whose links it can be entered.
func (r *Result) MountNamespace(tid int) (id uint32, pid int) {
	for _, o := range r.order {
		if o.Kind == format.NamespaceKind_MNT && slices.Contains(r.sets[tid].in, o.Id) {
			return o.Id, o.pid
		}
	}
	return 0, tid
}

// MountNamespaces lists each mount namespace with a task that is in it: the
// container's first one, and those that programs have made.
func (r *Result) MountNamespaces() []MountNamespace {
	var all []MountNamespace
	for _, o := range r.order {
		if o.Kind == format.NamespaceKind_MNT {
			all = append(all, MountNamespace{ID: o.Id, PID: o.pid, Nested: o.nested, Mounts: o.Mounts})
		}
	}
	return all
}

// MountNamespace is one, with a task that is in it.
type MountNamespace struct {
	ID     uint32
	PID    int // host's
	Nested bool
	Mounts []*format.Mount
}

// kinds of namespaces (namespaces(7)), in the order in which they are looked at.
var kinds = []struct {
	name string // in /proc/PID/ns
	kind format.NamespaceKind
	// children is the name of the link to the one that children will be in,
	// which unshare(2) and setns(2) change for some kinds; "" otherwise.
	children string
	look     func(*Result, *object) error
}{
	{"mnt", format.NamespaceKind_MNT, "", mounts},
	{"uts", format.NamespaceKind_UTS, "", names},
	{"ipc", format.NamespaceKind_IPC, "", objects},
	{"pid", format.NamespaceKind_PID, "pid_for_children", nil},
	{"net", format.NamespaceKind_NET, "", network},
	{"user", format.NamespaceKind_USER, "", users},
	{"cgroup", format.NamespaceKind_CGROUP, "", nil},
	{"time", format.NamespaceKind_TIME, "time_for_children", clocks},
}

// Look looks at the namespaces of the container's processes, the first of
// which is first. facts are those of tasks that eBPF tells; nil: nothing.
func Look(ids *view.IDs, processes []Process, facts map[int]*view.TaskFacts) (*Result, refusal.List, error) {
	res := &Result{sets: map[int]set{}, seen: map[view.Namespaces]set{}, objects: map[key]*object{}}
	ours, err := inodes(os.Getpid(), os.Getpid())
	if err != nil {
		return nil, nil, err
	}
	theirs, err := inodes(processes[0].PID, processes[0].PID)
	if err != nil {
		return nil, nil, err
	}
	for i := range processes {
		if err := res.process(ids, &processes[i], facts, theirs, ours); err != nil {
			return nil, nil, err
		}
	}
	defer res.closeOwners()
	if err := res.mounted(ids, theirs, ours); err != nil {
		return nil, nil, err
	}
	if err := res.owners(ids, ours["user"]); err != nil {
		return nil, nil, err
	}
	for _, o := range res.order {
		if look := lookOf(o.Kind); look != nil {
			if err := look(res, o); err != nil {
				return nil, nil, fmt.Errorf("%s namespace of process %d (%s): %w", o.name, o.who.NSPID, o.who.Command, err)
			}
		}
		res.Namespaces = append(res.Namespaces, o.Namespace)
	}
	if err := res.settleLinks(); err != nil {
		return nil, nil, err
	}
	for _, o := range res.order {
		if o.Kind == format.NamespaceKind_MNT {
			if err := res.locked(o); err != nil {
				return nil, nil, fmt.Errorf("mounts of process %d (%s): %w", o.who.NSPID, o.who.Command, err)
			}
		}
	}
	refused := res.refused
	res.refused = nil
	return res, refused, nil
}

// closeOwners closes those namespaces that no task is in.
func (r *Result) closeOwners() {
	for _, o := range r.order {
		if o.pid == 0 {
			unix.Close(o.fd)
		}
	}
}

// Refused is what has been refused since Look.
func (r *Result) Refused() refusal.List { return r.refused }

func lookOf(kind format.NamespaceKind) func(*Result, *object) error {
	for _, k := range kinds {
		if k.kind == kind {
			return k.look
		}
	}
	return nil
}

// process notes the namespaces of a process's tasks.
func (r *Result) process(ids *view.IDs, p *Process, facts map[int]*view.TaskFacts, theirs, ours map[string]uint64) error {
	for _, tid := range p.Tasks {
		its := facts[tid].HasSeen().Namespaces
		if set, known := r.seen[its]; known {
			r.sets[tid] = set
			continue
		}
		have, err := inodes(p.PID, tid)
		if err != nil {
			return err
		}
		if have["mnt"] == 0 {
			continue // it has ended
		}
		var set set
		note := func(kind format.NamespaceKind, name string, inode uint64, first string) uint32 {
			o := r.objects[key{kind, inode}]
			if o == nil {
				o = &object{
					Namespace: &format.Namespace{Id: ids.Next(), Kind: kind, Inode: inode, Own: inode != ours[first]},
					name:      name, pid: tid, nested: inode != theirs[first], who: p,
				}
				r.objects[key{kind, inode}] = o
				r.order = append(r.order, o)
			}
			return o.Id
		}
		for _, k := range kinds {
			inode, children := have[k.name], have[k.children]
			if inode == 0 { // a kernel without this kind
				continue
			}
			set.in = append(set.in, note(k.kind, k.name, inode, k.name))
			switch {
			case k.children == "" || children == inode:
			case children != 0:
				set.children = append(set.children, note(k.kind, k.children, children, k.name))
			case k.kind == format.NamespaceKind_PID:
				set.unborn = true // nobody has been the first in it (pidns_for_children_get, kernel/pid_namespace.c)
			}
		}
		r.sets[tid] = set
		if its.Set != 0 {
			r.seen[its] = set
		}
	}
	return nil
}

// inodes reads the inodes of /proc/PID/task/TID/ns: "uts:[4026531838]". A kind
// that has no namespace (yet) has none.
func inodes(pid, tid int) (map[string]uint64, error) {
	path := fmt.Sprintf("/proc/%d/task/%d/ns", pid, tid)
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(dir)
	all := map[string]uint64{}
	var b [64]byte
	for _, k := range kinds {
		for _, name := range []string{k.name, k.children} {
			if name == "" {
				continue
			}
			n, err := unix.Readlinkat(dir, name, b[:])
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if err != nil {
				return nil, &os.PathError{Op: "readlink", Path: path + "/" + name, Err: err}
			}
			_, number, _ := strings.Cut(string(b[:n]), ":[")
			inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s/%s is not as namespaces(7) has it: %q", path, name, b[:n])
			}
			all[name] = inode
		}
	}
	return all, nil
}

// inside runs f in a namespace.
func (o *object) inside(f func() error) error {
	return elsewhere.Run(func() error {
		ns, err := unix.Open(o.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(ns)
		if err := unix.Setns(ns, int(cloneFlag[o.Kind])); err != nil {
			return err
		}
		return f()
	})
}

// names asks uname(2) in the namespace.
func names(_ *Result, n *object) error {
	return n.inside(func() error {
		var u unix.Utsname
		if err := unix.Uname(&u); err != nil {
			return err
		}
		n.Uts = &format.Uts{Nodename: unix.ByteSliceToString(u.Nodename[:]), Domainname: unix.ByteSliceToString(u.Domainname[:])}
		return nil
	})
}

// clocks reads the offsets of a time namespace (time_namespaces(7)) against
// the host's first one.
func clocks(res *Result, n *object) (err error) {
	if n.nested {
		return nestedClocks(n)
	}
	if res.Offsets, err = procfs.ReadTimeOffsets(n.pid); err != nil {
		return err
	}
	n.Time = &format.TimeOffsets{MonotonicNs: res.Offsets.Monotonic, BoottimeNs: res.Offsets.Boottime}
	return nil
}

// nestedClocks reads those of one that a program made. The file of a task tells
// of the one that its children will be in: so it is read of a process of ours.
func nestedClocks(n *object) error {
	fd, err := unix.Open(n.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return elsewhere.Visit(fd, unix.CLONE_NEWTIME, func(pid int) error {
		offsets, err := procfs.ReadTimeOffsets(pid)
		n.Time = &format.TimeOffsets{MonotonicNs: offsets.Monotonic, BoottimeNs: offsets.Boottime}
		return err
	})
}

// Flags are the CLONE_NEW* of the namespaces that are the container's own.
func (r *Result) Flags() uint64 {
	var flags uint64
	for _, n := range r.order {
		if n.Own && !n.nested {
			flags |= cloneFlag[n.Kind]
		}
	}
	return flags
}

var cloneFlag = map[format.NamespaceKind]uint64{
	format.NamespaceKind_MNT: unix.CLONE_NEWNS, format.NamespaceKind_UTS: unix.CLONE_NEWUTS,
	format.NamespaceKind_IPC: unix.CLONE_NEWIPC, format.NamespaceKind_PID: unix.CLONE_NEWPID,
	format.NamespaceKind_NET: unix.CLONE_NEWNET, format.NamespaceKind_USER: unix.CLONE_NEWUSER,
	format.NamespaceKind_CGROUP: unix.CLONE_NEWCGROUP, format.NamespaceKind_TIME: unix.CLONE_NEWTIME,
}
