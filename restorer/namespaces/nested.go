package namespaces

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/restorer/place"
)

// links in /proc/PID/ns, and flags of clone(2), by kind.
var nsKinds = map[format.NamespaceKind]struct {
	name string
	flag uint64
}{
	format.NamespaceKind_MNT: {"mnt", unix.CLONE_NEWNS}, format.NamespaceKind_UTS: {"uts", unix.CLONE_NEWUTS},
	format.NamespaceKind_IPC: {"ipc", unix.CLONE_NEWIPC}, format.NamespaceKind_PID: {"pid", unix.CLONE_NEWPID},
	format.NamespaceKind_NET: {"net", unix.CLONE_NEWNET}, format.NamespaceKind_USER: {"user", unix.CLONE_NEWUSER},
	format.NamespaceKind_CGROUP: {"cgroup", unix.CLONE_NEWCGROUP}, format.NamespaceKind_TIME: {"time", unix.CLONE_NEWTIME},
}

// firstSet are the namespaces of the container's first process.
func firstSet(s *format.Skeleton) []uint32 {
	if p := s.Process(s.Container.RootPid); p != nil {
		return p.Namespaces
	}
	return nil
}

// openNested makes the namespaces that programs in the container have made, but
// for those of mounts, and of cgroups, whose root is the cgroup of whoever
// makes it.
func (r *Root) openNested(s *format.Skeleton, root place.Process) error {
	first := firstSet(s)
	for _, n := range s.Namespaces {
		k := nsKinds[n.Kind]
		var fd int
		var err error
		switch {
		case slices.Contains(first, n.Id):
			fd, err = openNS(fmt.Sprintf("/proc/%d/ns/%s", root.PID(), k.name))
			if errors.Is(err, unix.ENOENT) { // a kernel without this kind
				continue
			}
		case !n.Own:
			fd, err = openNS("/proc/self/ns/" + k.name)
		case n.Kind == format.NamespaceKind_UTS || n.Kind == format.NamespaceKind_IPC || n.Kind == format.NamespaceKind_NET:
			fd, err = r.makeNested(n)
		case n.Kind == format.NamespaceKind_MNT:
			fd, err = -1, nil // when its mounts are made
		case n.Kind == format.NamespaceKind_CGROUP:
			continue // when a process joins it
		case n.Kind == format.NamespaceKind_USER:
			continue // it is there
		case n.Kind == format.NamespaceKind_PID:
			continue // when its first process is made
		case n.Kind == format.NamespaceKind_TIME:
			fd, err = r.makeTime(n)
		default:
			err = fmt.Errorf("this version can't make a %s namespace inside the container", k.name)
		}
		if err != nil {
			return fmt.Errorf("namespace %s of the container: %w", k.name, err)
		}
		if fd >= 0 {
			r.namespaces[n.Id] = fd
		}
	}
	return nil
}

// SetNamespace notes a namespace that has come into being with a process.
func (r *Root) SetNamespace(id uint32, path string) error {
	fd, err := openNS(path)
	if err == nil {
		r.namespaces[id] = fd
	}
	return err
}

// Namespace is a namespace of the container, by its number in the image. The
// descriptor stays ours.
func (r *Root) Namespace(id uint32) (int, error) {
	if fd, ok := r.namespaces[id]; ok {
		return fd, nil
	}
	return -1, fmt.Errorf("namespace %d of the image has not been made", id)
}

func openNS(path string) (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) }

// makeOwned has the keeper of the user namespace that a namespace belongs to make
// it; -1: the thread that fills it makes it, since it is the host's.
func (r *Root) makeOwned(n *format.Namespace) (int, error) {
	keeper := r.keeperOf(n.Owner)
	if keeper == nil {
		return -1, nil
	}
	k := nsKinds[n.Kind]
	if _, err := keeper.Call(unix.SYS_UNSHARE, k.flag); err != nil {
		return -1, fmt.Errorf("make it in its user namespace: %w", err)
	}
	return openNS(fmt.Sprintf("/proc/%d/ns/%s", keeper.PID(), k.name))
}

// Visit has a process be in a user namespace, and have its children in a pid
// namespace; 0 is where it is.
func (r *Root) Visit(p place.Process, users, pids uint32) error {
	if err := r.enterUsers(p, users); err != nil {
		return fmt.Errorf("enter a user namespace: %w", err)
	}
	if pids == 0 {
		return nil
	}
	if err := r.setns(p, pids, unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("have children in a pid namespace: %w", err)
	}
	return nil
}

// makeNested makes a namespace, and what is in it on a thread that ends with it.
func (r *Root) makeNested(n *format.Namespace) (int, error) {
	fd, err := r.makeOwned(n)
	if err != nil {
		return -1, err
	}
	k := nsKinds[n.Kind]
	err = elsewhere.Run(func() (err error) {
		if fd < 0 {
			if err := unix.Unshare(int(k.flag)); err != nil {
				return fmt.Errorf("make it: %w", err)
			}
			if fd, err = openNS("/proc/thread-self/ns/" + k.name); err != nil {
				return err
			}
		} else if err := unix.Setns(fd, int(k.flag)); err != nil {
			return fmt.Errorf("enter it: %w", err)
		}
		if n.Uts != nil {
			if err := unix.Sethostname([]byte(n.Uts.Nodename)); err != nil {
				return fmt.Errorf("host name %q: %w", n.Uts.Nodename, err)
			}
			if err := unix.Setdomainname([]byte(n.Uts.Domainname)); err != nil {
				return fmt.Errorf("domain name %q: %w", n.Uts.Domainname, err)
			}
		}
		return nil
	})
	if err != nil && fd >= 0 {
		unix.Close(fd)
		fd = -1
	}
	return fd, err
}

// Join puts a process or thread that was just made into its namespaces but for
// that of users and what it has to make there itself, and that of pids, which it
// was born into; maker are those that it was
// born into. What it makes later is born into them.
func (r *Root) Join(p place.Process, maker, want []uint32) error {
	users := r.skeleton.UserNamespaceOf(want)
	for _, id := range want {
		n := r.skeleton.Namespace(id)
		if n == nil || slices.Contains(maker, id) || n.Kind == format.NamespaceKind_USER || n.Kind == format.NamespaceKind_PID || r.isLate(n, users) {
			continue
		}
		if err := r.join(p, n); err != nil {
			return err
		}
	}
	return nil
}

// isLate says of a namespace that has not been made that it belongs to the user
// namespace of who makes it.
func (r *Root) isLate(n *format.Namespace, users uint32) bool {
	_, made := r.namespaces[n.Id]
	return !made && n.Owner != 0 && n.Owner == users
}

// EnterUsers puts a process that Join has been called for into its user
// namespace, from that of its maker; c is who it is to be. That takes away the
// rights that it needs for other namespaces, but for those that belong to it.
func (r *Root) EnterUsers(p place.Process, from uint32, want []uint32, c *format.Credentials) error {
	users := r.skeleton.UserNamespaceOf(want)
	var late []*format.Namespace
	for _, id := range want {
		if n := r.skeleton.Namespace(id); n != nil && r.isLate(n, users) {
			late = append(late, n)
		}
	}
	if users != 0 && users != from {
		if err := r.enterAs(p, from, users, c); err != nil {
			return err
		}
	}
	for _, n := range late {
		if err := r.join(p, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *Root) join(p place.Process, n *format.Namespace) error {
	k := nsKinds[n.Kind]
	_, ok := r.namespaces[n.Id]
	if !ok && n.Kind == format.NamespaceKind_CGROUP {
		if err := r.makeCgroupNamespace(p, n); err != nil {
			return fmt.Errorf("make its cgroup namespace: %w", err)
		}
		return nil
	}
	if err := r.setns(p, n.Id, k.flag); err != nil {
		return fmt.Errorf("enter its %s namespace (needs CAP_SYS_ADMIN in the container): %w", k.name, err)
	}
	return nil
}

// makeCgroupNamespace has a process make a cgroup namespace from the cgroups that
// are to be its roots. Into its own ones it comes later.
func (r *Root) makeCgroupNamespace(p place.Process, n *format.Namespace) error {
	if err := r.cgroups.join(p.PID(), n.CgroupRoots); err != nil {
		return err
	}
	if _, err := p.Call(unix.SYS_UNSHARE, unix.CLONE_NEWCGROUP); err != nil {
		return err
	}
	fd, err := openNS(fmt.Sprintf("/proc/%d/ns/cgroup", p.PID()))
	if err == nil {
		r.namespaces[n.Id] = fd
	}
	return err
}

// Settle gives what has been made its last touch, when nothing more is written
// or bound in the container, and lets go of what only the restart needed.
func (r *Root) Settle() error {
	for _, t := range r.mounts.trees {
		if err := t.finish(); err != nil {
			return err
		}
	}
	if err := r.mounts.makeReadOnly(); err != nil {
		return err
	}
	r.mounts.closeWorkshop()
	return nil
}

// makeReadOnly makes those file systems read-only that were, in all their mounts.
func (m *mounter) makeReadOnly() error {
	for _, f := range m.s.FileSystems {
		fd, ok := m.made[f.Id]
		if !ok || !isReadOnly(f) {
			continue
		}
		context, err := unix.Fspick(fd, "", unix.FSPICK_EMPTY_PATH|unix.FSPICK_CLOEXEC)
		if err == nil {
			err = unix.FsconfigSetFlag(context, "ro")
			if err == nil {
				err = unix.FsconfigReconfigure(context)
			}
			unix.Close(context)
		}
		if err != nil {
			return fmt.Errorf("make a %s of the container read-only: %w", f.Fstype, err)
		}
	}
	return nil
}

// Pour writes bytes into a file of a file system that lives in memory; false if
// they are not of one.
func (r *Root) Pour(owner uint32, offset uint64, data []byte) (bool, error) {
	f, ok := r.contents[owner]
	if !ok {
		return false, nil
	}
	return true, f.tree.write(f.node, offset, data)
}

// content is where bytes of the image belong.
type content struct {
	tree *tree
	node *format.FileNode
}

func (r *Root) findContents() {
	for _, t := range r.mounts.trees {
		for _, n := range t.Nodes {
			if n.Content != 0 {
				r.contents[n.Content] = content{t, n}
			}
		}
	}
}
