// Package namespaces looks at the namespaces of a container's tasks, at what
// lives in them, and at the cgroups of its processes. It only reads.
package namespaces

import (
	"errors"
	"fmt"
	"net"
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
	Namespaces []*format.Namespace
	// Offsets of the container's clocks against those of the first time
	// namespace.
	Offsets procfs.TimeOffsets
	// Segments are the System V segments of an IPC namespace of its own, by id.
	Segments map[uint32]*view.Segment
	refused  refusal.List // of what lives in a namespace
}

// IDs are the numbers of all namespaces, which every process is in.
func (r *Result) IDs() []uint32 {
	ids := make([]uint32, len(r.Namespaces))
	for i, n := range r.Namespaces {
		ids[i] = n.Id
	}
	return ids
}

// kinds of namespaces (namespaces(7)), in the order in which they are looked at.
var kinds = []struct {
	name string // in /proc/PID/ns
	kind format.NamespaceKind
	// children is the name of the link to the one that children will be in,
	// which unshare(2) and setns(2) change for some kinds; "" otherwise.
	children string
	look     func(*Result, *format.Namespace, int) error
}{
	{"mnt", format.NamespaceKind_MNT, "", mounts},
	{"uts", format.NamespaceKind_UTS, "", names},
	{"ipc", format.NamespaceKind_IPC, "", objects},
	{"pid", format.NamespaceKind_PID, "pid_for_children", nil},
	{"net", format.NamespaceKind_NET, "", links},
	{"user", format.NamespaceKind_USER, "", nil},
	{"cgroup", format.NamespaceKind_CGROUP, "", nil},
	{"time", format.NamespaceKind_TIME, "time_for_children", clocks},
}

// Look looks at the namespaces of the container's processes, the first of
// which is first.
func Look(ids *view.IDs, processes []Process) (*Result, refusal.List, error) {
	first := processes[0]
	theirs, err := inodes(first.PID, first.PID)
	if err != nil {
		return nil, nil, err
	}
	ours, err := inodes(os.Getpid(), os.Getpid())
	if err != nil {
		return nil, nil, err
	}
	res := &Result{}
	var refused refusal.List
	for _, k := range kinds {
		inode := theirs[k.name]
		if inode == 0 { // a kernel without this kind
			continue
		}
		n := &format.Namespace{Id: ids.Next(), Kind: k.kind, Inode: inode, Own: inode != ours[k.name]}
		if k.look != nil {
			if err := k.look(res, n, first.PID); err != nil {
				return nil, nil, fmt.Errorf("%s namespace of the container: %w", k.name, err)
			}
		}
		if n.Own && k.kind == format.NamespaceKind_USER {
			refused = append(refused, &refusal.Refusal{
				Object: "the container", Kind: "user namespace",
				Reason: "an unprivileged container can't be saved by this version",
				Remedy: "run it without lxc.idmap",
			})
		}
		res.Namespaces = append(res.Namespaces, n)
	}
	refused = append(refused, res.refused...)
	for i := range processes {
		r, err := others(&processes[i], theirs)
		if err != nil {
			return nil, nil, err
		}
		refused = append(refused, r...)
	}
	return res, refused, nil
}

// others refuses what is in another namespace than the container's first
// process: one refusal for each process and kind.
func others(p *Process, theirs map[string]uint64) (refusal.List, error) {
	var refused refusal.List
	seen := map[string]bool{}
	for _, tid := range p.Tasks {
		have, err := inodes(p.PID, tid)
		if err != nil {
			return nil, err
		}
		for _, k := range kinds {
			what := ""
			switch {
			case have[k.name] != theirs[k.name]:
				what = k.name + " namespace of its own"
			case k.children != "" && have[k.children] != 0 && have[k.children] != have[k.name]:
				what = k.name + " namespace for its children"
			}
			if what == "" || seen[what] {
				continue
			}
			seen[what] = true
			r := &refusal.Refusal{
				PID: p.NSPID, Command: p.Command, Kind: what,
				Reason: "one set of namespaces for the whole container is all that this version can make again",
				Remedy: "let the program, or the manager that starts it, not unshare it (systemd: PrivateTmp, ProtectHostname and the like), or end it",
			}
			if tid != p.PID {
				r.Object = fmt.Sprintf("thread with host's number %d", tid)
			}
			refused = append(refused, r)
		}
	}
	return refused, nil
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

// mounts lists the mounts that the first process can see.
func mounts(_ *Result, n *format.Namespace, pid int) error {
	all, err := procfs.ReadMounts(pid)
	if err != nil {
		return err
	}
	for _, m := range all {
		n.Mounts = append(n.Mounts, &format.Mount{
			MountId: uint32(m.ID), ParentId: uint32(m.Parent),
			Device: uint64(m.Major)<<32 | uint64(m.Minor),
			Root:   m.Root, Mountpoint: m.Mountpoint,
			Options: m.Options, Propagation: m.Optional,
			Fstype: m.FSType, Source: m.Source, SuperOptions: m.VFSOptions,
		})
	}
	return nil
}

// inside runs f in a namespace of a process.
func inside(pid int, name string, flag int, f func() error) error {
	return elsewhere.Run(func() error {
		ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(ns)
		if err := unix.Setns(ns, flag); err != nil {
			return err
		}
		return f()
	})
}

// links lists the network interfaces.
func links(_ *Result, n *format.Namespace, pid int) error {
	return inside(pid, "net", unix.CLONE_NEWNET, func() error {
		all, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, l := range all {
			n.Links = append(n.Links, &format.Link{Name: l.Name, Up: l.Flags&net.FlagUp != 0})
		}
		return nil
	})
}

// names asks uname(2) in the namespace.
func names(_ *Result, n *format.Namespace, pid int) error {
	return inside(pid, "uts", unix.CLONE_NEWUTS, func() error {
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
func clocks(res *Result, n *format.Namespace, pid int) (err error) {
	if res.Offsets, err = procfs.ReadTimeOffsets(pid); err != nil {
		return err
	}
	n.Time = &format.TimeOffsets{MonotonicNs: res.Offsets.Monotonic, BoottimeNs: res.Offsets.Boottime}
	return nil
}

// Flags are the CLONE_NEW* of the namespaces that are the container's own.
func (r *Result) Flags() uint64 {
	var flags uint64
	for _, n := range r.Namespaces {
		if n.Own {
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

// Cgroups finds the cgroups of each process from the container's own ones, in
// the processes' order. name is the last part of the path of the container's
// cgroup in the freezer's hierarchy.
func Cgroups(name string, processes []Process) ([][]*format.CgroupMembership, error) {
	paths := make([][]procfs.CgroupPath, len(processes))
	own := map[string]string{} // the container's cgroup by hierarchy
	for i, p := range processes {
		var err error
		if paths[i], err = procfs.ReadCgroupPaths(p.PID); err != nil {
			return nil, err
		}
		for _, c := range paths[i] {
			have, known := own[c.Controllers]
			if !known {
				have = c.Path
			}
			own[c.Controllers] = common(have, c.Path)
		}
	}
	for controllers, path := range own {
		own[controllers] = upTo(path, name)
	}
	all := make([][]*format.CgroupMembership, len(processes))
	for i := range processes {
		for _, c := range paths[i] {
			rest := "/" + strings.TrimPrefix(strings.TrimPrefix(c.Path, own[c.Controllers]), "/")
			all[i] = append(all[i], &format.CgroupMembership{Controllers: c.Controllers, Path: rest})
		}
	}
	return all, nil
}

// common is the deepest cgroup that two are in.
func common(a, b string) string {
	x, y := parts(a), parts(b)
	n := 0
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	return "/" + strings.Join(x[:n], "/")
}

// upTo cuts a path behind the part that has a name: all processes of a
// container may be deeper than its own cgroup.
func upTo(path, name string) string {
	p := parts(path)
	if i := slices.Index(p, name); i >= 0 {
		return "/" + strings.Join(p[:i+1], "/")
	}
	return path
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
