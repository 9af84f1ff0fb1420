package namespaces

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// mounter makes the mounts of all mount namespaces of an image.
//
// Every file system that a mount is to show is first mounted in a namespace that
// only the restart has, the workshop; what LXC has mounted is cloned into it.
// Each mount of the container is then a clone of one there, made with its
// options, and moved to its place. Groups of mounts that hand each other what is
// mounted on them (mount_namespaces(7), Shared subtrees) come last: until then
// all are private, so that nothing is mounted twice.
type mounter struct {
	s    *format.Skeleton
	root place.Process
	// sameHost: the first namespace is a copy of the host's.
	sameHost bool
	external map[string]string // see Surroundings
	log      *slog.Logger
	users    *Root // who makes what belongs to user namespaces of the container

	first   *format.Namespace
	match   *match
	rebuilt bool           // the first namespace gets another root
	spaces  []*space       // the container's mount namespaces, the first one first
	sources []source       // in the workshop
	made    map[uint32]int // file systems that are mounted nowhere yet
	trees   []*tree
	keep    []int // descriptors to close in the end

	// Of the thread that does the work.
	proc     int // our own /proc
	workshop int // mount namespace
	bench    int // a directory in it
	places   int // number of places on the bench that are taken
}

// space is a mount namespace.
type space struct {
	*format.Namespace
	ns       int
	mounts   map[uint32]int // the roots of its mounts, by their number in the image
	root     int
	later    []*format.Mount // those that need processes of a nested pid namespace
	original *space          // what it is a copy of, whose mounts are locked in it; nil: of none
	copied   int             // the namespace of that; -1: it is made when it is filled
}

// source is a mount in the workshop: of a file system, from a directory or file
// in it on, as the image names that.
type source struct {
	fileSystem uint32
	root       string
	fd         int
	idMap      string // see Mount.IDMap
}

// makeMounts makes the mounts of all mount namespaces that are the container's
// own. The first process is in the first of them.
func makeMounts(s *format.Skeleton, root place.Process, users *Root, have Surroundings, log *slog.Logger) (*mounter, error) {
	m := &mounter{s: s, root: root, users: users, sameHost: have.HostMounts, external: have.External, log: log, made: map[uint32]int{}, proc: -1, workshop: -1, bench: -1}
	for _, n := range s.Namespaces {
		if n.Kind == format.NamespaceKind_MNT && n.Own && len(n.Mounts) > 0 {
			m.spaces = append(m.spaces, &space{Namespace: n, ns: -1, root: -1, copied: -1, mounts: map[uint32]int{}})
		}
	}
	if len(m.spaces) == 0 {
		return m, nil
	}
	m.first = m.spaces[0].Namespace
	err := m.lookAtFirst()
	if err == nil {
		err = m.makeProcs()
	}
	if err == nil {
		err = m.makeOwned()
	}
	if err == nil {
		err = m.run(m.openFirst, m.tidyFirst, m.openWorkshop, m.takeOver, m.takeExternal, m.makeFileSystems, m.growTrees)
	}
	if err == nil {
		err = m.makeOverlays()
	}
	if err == nil {
		err = m.run(m.makeLocked)
	}
	if err == nil {
		err = m.copyLocked()
	}
	if err == nil {
		err = m.run(m.mountAll)
	}
	if err == nil && !m.isDeferred() {
		err = m.run(m.joinGroups)
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// lookAtFirst compares what is mounted in the first namespace with what was.
func (m *mounter) lookAtFirst() error {
	now, err := procfs.ReadMounts(m.root.PID())
	if err != nil {
		return err
	}
	boot, err := clocks.BootID()
	if err != nil {
		return err
	}
	m.match = compare(m.s, m.first.Mounts, now, m.sameHost, m.s.Header.BootId == boot)
	m.rebuilt = len(m.match.now) == 0
	return nil
}

// missing tells whether a file system has to be made.
func (m *mounter) missing(f *format.FileSystem) bool {
	_, there := m.match.devices[f.Id]
	return !there && canMake(f) && !m.showsNested(f)
}

func (m *mounter) makeProcs() error {
	for _, f := range m.s.FileSystems {
		if f.Fstype == "proc" && m.missing(f) {
			fd, err := makeIn(m.root, f, nil)
			if err != nil {
				return err
			}
			m.made[f.Id] = fd
		}
	}
	return nil
}

// run takes steps on a thread of its own, which goes from one namespace to the
// other.
func (m *mounter) run(steps ...func() error) error {
	return elsewhere.Run(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *mounter) enter(ns int) error {
	if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter a mount namespace: %w", err)
	}
	return nil
}

// keeping notes a descriptor that is closed in the end.
func (m *mounter) keeping(fd int, err error) (int, error) {
	if err == nil {
		m.keep = append(m.keep, fd)
	}
	return fd, err
}

// openFirst opens the first namespace, and the mounts in it that stay.
func (m *mounter) openFirst() (err error) {
	if m.proc, err = m.keeping(unix.Open("/proc", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)); err != nil {
		return err
	}
	first := m.spaces[0]
	if first.ns, err = m.keeping(unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", m.root.PID()), unix.O_RDONLY|unix.O_CLOEXEC, 0)); err != nil {
		return err
	}
	if err := m.enter(first.ns); err != nil {
		return err
	}
	for _, had := range m.first.Mounts {
		now := m.match.now[had.MountId]
		if now == nil {
			continue
		}
		fd, err := m.keeping(unix.Open(now.Mountpoint, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0))
		if err != nil {
			continue // covered by another one
		}
		var st unix.Statx_t
		if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
			return err
		}
		if int(st.Mnt_id) == now.ID {
			first.mounts[had.MountId] = fd
		}
	}
	return nil
}

// tidyFirst makes the mounts of the first namespace private, as far as they hand
// on what is mounted on them, and unmounts what the container had not: LXC
// mounts all of its config again, and the container can have unmounted some.
func (m *mounter) tidyFirst() error {
	if m.sameHost {
		// It would be mounted on the host, too.
		return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
	}
	for i := len(m.match.extra) - 1; i >= 0; i-- {
		e := m.match.extra[i]
		if err := unix.Unmount(e.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s, which LXC mounts and the container had unmounted: %w", e.Mountpoint, err)
		}
	}
	for _, now := range m.match.now {
		if strings.Contains(now.Optional, "shared:") {
			if err := unix.Mount("", now.Mountpoint, "", unix.MS_PRIVATE, ""); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("make the mount %s private: %w", now.Mountpoint, err)
			}
		}
	}
	return nil
}

// makeFileSystems makes those that nobody has mounted, in the namespaces that
// decide what they show.
func (m *mounter) makeFileSystems() error {
	for _, f := range m.s.FileSystems {
		if !m.missing(f) {
			continue
		}
		if m.sameHost && f.Outside && f.Fstype != "mqueue" {
			continue // the host's, as it is
		}
		fd, ok := m.made[f.Id]
		var err error
		if !ok {
			if fd, err = m.makeInside(f); err != nil {
				return err
			}
			m.made[f.Id] = fd
		}
		if err := m.onBench(fd); err != nil {
			return err
		}
		m.sources = append(m.sources, source{f.Id, m.rootOf(f), fd, ""})
	}
	return nil
}

// rootOf is what a file system that was made anew shows at its root: all, but for
// cgroups, where it is the container's own one, the highest that it could see.
func (m *mounter) rootOf(f *format.FileSystem) string {
	if !isCgroup(f.Fstype) {
		return "/"
	}
	top := ""
	for _, n := range m.s.Namespaces {
		for _, mount := range n.Mounts {
			if mount.FileSystem == f.Id && (top == "" || len(mount.Root) < len(top)) {
				top = mount.Root
			}
		}
	}
	return top
}

func (m *mounter) makeInside(f *format.FileSystem) (int, error) {
	fd := -1
	err := elsewhere.Run(func() (err error) {
		for _, ns := range []string{"net", "ipc", "cgroup"} {
			at, err := m.openFor(f, ns)
			if err != nil {
				return err
			}
			err = unix.Setns(at, 0)
			unix.Close(at)
			if err != nil {
				return fmt.Errorf("enter the container's %s namespace: %w", ns, err)
			}
		}
		fd, err = makeFileSystem(f)
		return err
	})
	return fd, err
}

// growTrees makes the names in file systems that live in memory.
func (m *mounter) growTrees() error {
	for _, f := range m.s.FileSystems {
		if len(f.Nodes) == 0 {
			continue
		}
		s := m.source(f.Id, f.Nodes[0].Path, "")
		if s == nil {
			return fmt.Errorf("the files of a %s of the container have nowhere to go: what LXC mounts in its place shows another part of it", f.Fstype)
		}
		t := &tree{FileSystem: f, base: fmt.Sprintf("/proc/self/fd/%d", s.fd), root: s.root}
		if err := asOwner(m.s.UsersIn(m.ownerOf(f)), t.grow); err != nil {
			return err
		}
		m.trees = append(m.trees, t)
	}
	return nil
}

// closeWorkshop gives up what only the making needs: the workshop goes with its
// last descriptor. What remains are the namespaces and their roots.
func (m *mounter) closeWorkshop() {
	var spaces []int
	for _, s := range m.spaces {
		spaces = append(spaces, s.ns, s.root)
	}
	m.keep = slices.DeleteFunc(m.keep, func(fd int) bool {
		if slices.Contains(spaces, fd) {
			return false
		}
		unix.Close(fd)
		return true
	})
	for _, fd := range m.made {
		unix.Close(fd)
	}
	m.made = nil
}

// close gives up all.
func (m *mounter) close() {
	m.closeWorkshop()
	for _, fd := range m.keep {
		unix.Close(fd)
	}
	m.keep = nil
}
