package namespaces

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// ownerOf is the user namespace that a file system belongs to (s_user_ns), 0 for
// the host's: nothing shows it, but whoever mounts needs rights over the mount
// namespace, so it is the one that the mount namespaces with it belong to, or
// one around those.
func (m *mounter) ownerOf(f *format.FileSystem) uint32 {
	owner, found := uint32(0), false
	for _, s := range m.spaces {
		for _, mount := range s.Mounts {
			if mount.FileSystem != f.Id {
				continue
			}
			if !found {
				owner, found = s.Owner, true
			}
			owner = m.around(owner, s.Owner)
			break
		}
	}
	return owner
}

// around is the deepest user namespace that two are in.
func (m *mounter) around(a, b uint32) uint32 {
	for ; a != 0; a = m.s.Namespace(a).GetOwner() {
		for at := b; at != 0; at = m.s.Namespace(at).GetOwner() {
			if at == a {
				return a
			}
		}
	}
	return 0
}

// openFor opens the namespace of a kind that a file system shows, as mqueue one of
// ipc: that of a process that is in a mount namespace with it, the container's own
// first.
func (m *mounter) openFor(f *format.FileSystem, kind string) (int, error) {
	for _, s := range m.spaces {
		if !slices.ContainsFunc(s.Mounts, func(mount *format.Mount) bool { return mount.FileSystem == f.Id }) {
			continue
		}
		for _, p := range m.s.Processes {
			if !slices.Contains(p.Namespaces, s.Id) {
				continue
			}
			for _, id := range p.Namespaces {
				fd, made := m.users.namespaces[id]
				if made && nsKinds[m.s.Namespace(id).GetKind()].name == kind {
					return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
				}
			}
		}
		break
	}
	return unix.Openat(m.proc, fmt.Sprintf("%d/ns/%s", m.root.PID(), kind), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// keeper is who has to make a file system, nil if it is us. Those that show a
// namespace belong to the owner of that, whoever mounts them.
func (m *mounter) keeper(f *format.FileSystem) *keeper {
	switch f.Fstype {
	case "tmpfs", "ramfs", "devpts":
		return m.users.keeperOf(m.ownerOf(f))
	}
	return nil
}

// makeOwned has the keepers make the file systems that belong to their user
// namespaces, for which they need a mount namespace of their own, and the mount
// namespaces.
func (m *mounter) makeOwned() error {
	for _, f := range m.s.FileSystems {
		k := m.keeper(f)
		if k == nil || !m.missing(f) {
			continue
		}
		if _, err := k.Call(unix.SYS_UNSHARE, unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("make a mount namespace in a user namespace of the container: %w", err)
		}
		fd, err := makeIn(k, f, m.s.UsersIn(m.ownerOf(f)))
		if err != nil {
			return err
		}
		m.made[f.Id] = fd
	}
	for _, s := range m.spaces[1:] {
		of := s.Namespace
		if hasLocked(s.Namespace) {
			// It becomes a copy of another one, which a process of the container enters.
			of = &format.Namespace{Kind: s.Kind, Owner: m.s.UserNamespaceOf(firstSet(m.s))}
		}
		fd, err := m.users.makeOwned(of)
		if err != nil {
			return fmt.Errorf("mount namespace of the container: %w", err)
		}
		switch {
		case fd < 0:
		case of != s.Namespace:
			s.copied, _ = m.keeping(fd, nil)
		default:
			s.ns, _ = m.keeping(fd, nil)
		}
	}
	return nil
}

// asOwner runs f with the file system ids of the first user of a user namespace,
// and all rights: see elsewhere.As. The goroutine is locked to its thread.
func asOwner(users *format.Users, f func() error) error {
	uid, gid := users.First()
	if uid == 0 && gid == 0 {
		return f()
	}
	if err := sys.ThreadFileIdentity(uid, gid); err != nil {
		return fmt.Errorf("become the first user of a user namespace: %w", err)
	}
	return errors.Join(f(), sys.ThreadFileIdentity(0, 0))
}
