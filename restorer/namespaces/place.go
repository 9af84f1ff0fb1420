package namespaces

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// mountAll mounts what is missing in each namespace.
func (m *mounter) mountAll() error {
	for i, s := range m.spaces {
		if s.original != nil {
			if err := m.openCopied(s); err != nil {
				return err
			}
		} else if i > 0 || m.rebuilt {
			if err := m.newSpace(s); err != nil {
				return err
			}
		}
		if err := m.fill(s, i == 0 && !m.rebuilt); err != nil {
			return err
		}
		if err := m.enter(s.ns); err != nil {
			return err
		}
		var err error
		if s.root, err = m.keeping(unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)); err != nil {
			return err
		}
	}
	return nil
}

// newSpace makes a namespace that has nothing but its root; one that exists gets
// another root.
func (m *mounter) newSpace(s *space) error {
	if err := m.enter(m.workshop); err != nil {
		return err
	}
	root, err := m.copyOf(s.Mounts[0])
	if err != nil {
		return err
	}
	if root < 0 {
		return fmt.Errorf("the container had %s (%s) for its root, and this host has not: restart it under LXC, or make it", s.Mounts[0].Root, describe(s.Mounts[0]))
	}
	if s.ns >= 0 {
		err = m.enter(s.ns)
	} else if err = unix.Unshare(unix.CLONE_NEWNS); err == nil {
		s.ns, err = m.keeping(unix.Openat(m.proc, "thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0))
	}
	if err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	s.mounts[s.Mounts[0].MountId] = root
	for _, step := range []struct {
		what string
		err  func() error
	}{
		{"make it private", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"mount its root", func() error {
			return unix.MoveMount(root, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH)
		}},
		{"enter its root", func() error { return unix.Fchdir(root) }},
		{"pivot_root", func() error { return unix.PivotRoot(".", ".") }},
		{"unmount the old root", func() error { return unix.Unmount(".", unix.MNT_DETACH) }},
	} {
		if err := step.err(); err != nil {
			return fmt.Errorf("give a mount namespace of the container its root: %s: %w", step.what, err)
		}
	}
	return nil
}

// copyOf makes a mount that is nowhere yet, private, with its options; -1: there
// is nothing that it could be a copy of. The thread is in the workshop.
func (m *mounter) copyOf(mount *format.Mount) (int, error) {
	f := m.s.FileSystem(mount.FileSystem)
	from := m.source(f.Id, mount.Root, mount.IDMap())
	var err error
	switch {
	case from != nil:
	case mount.Namespace != 0:
		if from, err = m.showNamespace(mount); err != nil {
			return -1, err
		}
	case m.sameHost && f.Outside:
		if from, err = m.sourceOnHost(f, mount); err != nil {
			return -1, err
		}
	default:
		if from, err = m.mapped(mount); err != nil {
			return -1, err
		}
	}
	if from == nil {
		return -1, nil
	}
	rest, _ := below(mount.Root, from.root)
	if isCgroup(f.Fstype) && rest != "/" {
		if err := makeDirectories(from.fd, rest); err != nil {
			return -1, fmt.Errorf("make cgroup %s for a mount: %w", mount.Root, err)
		}
	}
	fd, err := m.keeping(clone(from.fd, rest))
	if errors.Is(err, unix.ENOENT) && f.Fstype == "devpts" && m.rebuilt {
		return -1, nil // a terminal that LXC had given it
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return -1, fmt.Errorf("the container had %s, which showed %s of that file system, and that does not exist now: put it back and restart again", describe(mount), mount.Root)
	}
	if err != nil {
		return -1, fmt.Errorf("mount %s: %w", describe(mount), err)
	}
	attr := mountAttributes(mount.Options)
	attr.Propagation = unix.MS_PRIVATE
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return -1, fmt.Errorf("options %s of mount %s: %w", mount.Options, mount.Mountpoint, err)
	}
	return fd, nil
}

// showNamespace mounts a namespace in the workshop.
func (m *mounter) showNamespace(mount *format.Mount) (*source, error) {
	ns, err := m.users.Namespace(mount.Namespace)
	var fd int
	if err == nil {
		fd, err = m.keeping(clone(ns, "/"))
	}
	if err == nil {
		err = m.onBench(fd)
	}
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", describe(mount), err)
	}
	m.sources = append(m.sources, source{mount.FileSystem, mount.Root, fd, ""})
	return &m.sources[len(m.sources)-1], nil
}

func makeDirectories(at int, path string) error {
	done := ""
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		done += part
		if err := unix.Mkdirat(at, done, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		done += "/"
	}
	return nil
}

// fill makes what a namespace has besides its root. What stays gets the options
// that it had.
func (m *mounter) fill(s *space, compared bool) error {
	if err := m.enter(m.workshop); err != nil {
		return err
	}
	copies := map[uint32]int{}
	left := map[uint32]bool{} // not there, and not needed
	for _, mount := range s.Mounts[1:] {
		if m.isLater(s, mount) {
			s.later = append(s.later, mount)
			continue
		}
		if _, there := s.mounts[mount.MountId]; s.original != nil && there || compared && m.match.now[mount.MountId] != nil {
			continue
		}
		fd, err := -1, error(nil)
		if !left[mount.ParentId] {
			if fd, err = m.copyOf(mount); err != nil {
				return err
			}
		}
		switch {
		case fd >= 0:
			copies[mount.MountId] = fd
		case m.mayBeGone(mount) || left[mount.ParentId]:
			left[mount.MountId] = true
			m.log.Info("a mount of the host that the container had is gone", "mount", mount.Mountpoint, "type", mount.Fstype)
		default:
			return fmt.Errorf("the container had %s mounted on %s, and now it has not: give it back in the container's config (lxc.mount.entry), or say which directory or file of this host is to be there (--external '%s'=PATH)", mount.Fstype, mount.Mountpoint, mount.ExternalName())
		}
	}
	if err := m.enter(s.ns); err != nil {
		return err
	}
	for _, mount := range coveredFirst(s.Mounts) {
		if fd, ok := copies[mount.MountId]; ok {
			if err := s.place(mount, fd); err != nil {
				return err
			}
			continue
		}
		if !compared || m.sameHost || slices.Contains(s.later, mount) {
			continue
		}
		if err := s.amend(mount, m.match.now[mount.MountId].Options); err != nil {
			return err
		}
	}
	return nil
}

// coveredFirst orders mounts so that one whose place lies below the place of
// another on the same parent comes first: afterwards nothing leads there any
// more. In systemd-logind's namespace /run/user is covered, and what it gets of
// the first namespace's /run/user/0 is below it. Parents stay before children.
func coveredFirst(mounts []*format.Mount) []*format.Mount {
	children := map[uint32][]*format.Mount{}
	for _, m := range mounts[1:] {
		children[m.ParentId] = append(children[m.ParentId], m)
	}
	ordered := mounts[:1:1]
	for i := 0; i < len(ordered); i++ {
		siblings := children[ordered[i].MountId]
		slices.SortStableFunc(siblings, func(a, b *format.Mount) int { return len(b.Mountpoint) - len(a.Mountpoint) })
		ordered = append(ordered, siblings...)
	}
	return ordered
}

// mayBeGone tells whether the container goes on without a mount: one of the
// host's, or a terminal of LXC's, if it gets what the host has.
func (m *mounter) mayBeGone(mount *format.Mount) bool {
	f := m.s.FileSystem(mount.FileSystem)
	return m.sameHost && (f.Outside || m.rebuilt && f.Fstype == "devpts")
}

// place moves a mount to where it belongs on its parent.
func (s *space) place(mount *format.Mount, fd int) error {
	parent, ok := s.mounts[mount.ParentId]
	if !ok || parent < 0 {
		return fmt.Errorf("mount %s: what it was mounted on is covered by another mount", describe(mount))
	}
	rest, _ := below(mount.Mountpoint, s.mountpoint(mount.ParentId))
	target, err := within(parent, rest, 0)
	if err != nil {
		return fmt.Errorf("mount %s: the directory or file that it was mounted on: %w", describe(mount), err)
	}
	defer unix.Close(target)
	if err := unix.MoveMount(fd, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s: %w", describe(mount), err)
	}
	s.mounts[mount.MountId] = fd
	return nil
}

func (s *space) mountpoint(id uint32) string {
	for _, m := range s.Mounts {
		if m.MountId == id {
			return m.Mountpoint
		}
	}
	return "/"
}

// amend gives a mount that LXC has made the options that it had in the end.
func (s *space) amend(mount *format.Mount, now string) error {
	fd, ok := s.mounts[mount.MountId]
	if !ok || now == mount.Options {
		return nil
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, mountAttributes(mount.Options)); err != nil {
		return fmt.Errorf("options %s of mount %s: %w", mount.Options, mount.Mountpoint, err)
	}
	return nil
}
