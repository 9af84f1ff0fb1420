package namespaces

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// hasLocked tells whether tasks in a mount namespace can't unmount all of it:
// only a copy for another user namespace has such mounts (copy_mnt_ns,
// fs/namespace.c).
func hasLocked(n *format.Namespace) bool {
	for _, m := range n.Mounts {
		if m.Locked && n.Owner != 0 {
			return true
		}
	}
	return false
}

// lockedMounts are the root and those that are locked, with what they lie on.
func lockedMounts(n *format.Namespace) []*format.Mount {
	byID, want := map[uint32]*format.Mount{}, map[uint32]bool{}
	for _, m := range n.Mounts {
		byID[m.MountId] = m
	}
	for _, m := range n.Mounts {
		for at := m; m.Locked && at != nil && !want[at.MountId]; at = byID[at.ParentId] {
			want[at.MountId] = true
		}
	}
	all := n.Mounts[:1:1]
	for _, m := range n.Mounts[1:] {
		if want[m.MountId] {
			all = append(all, m)
		}
	}
	return all
}

// makeLocked makes, in a namespace of the host's, the mounts that a copy is to have
// locked.
func (m *mounter) makeLocked() error {
	for _, s := range m.spaces[1:] {
		if !hasLocked(s.Namespace) {
			continue
		}
		s.original = &space{
			Namespace: &format.Namespace{Id: s.Id, Kind: s.Kind, Own: true, Mounts: lockedMounts(s.Namespace)},
			ns:        s.copied, root: -1, mounts: map[uint32]int{},
		}
		if err := m.newSpace(s.original); err != nil {
			return err
		}
		if err := m.fill(s.original, false); err != nil {
			return err
		}
	}
	return nil
}

// copyLocked has a process in the user namespace that they belong to copy these
// namespaces: it enters them first, as long as it has the right to.
func (m *mounter) copyLocked() error {
	for _, s := range m.spaces {
		if s.original == nil {
			continue
		}
		if err := m.copyFor(s); err != nil {
			return fmt.Errorf("copy a mount namespace for a user namespace of the container: %w", err)
		}
	}
	return nil
}

func (m *mounter) copyFor(s *space) (err error) {
	p, end, err := m.users.fork()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	sent, err := p.Send([]int{s.original.ns})
	if err != nil {
		return err
	}
	if _, err := p.Call(unix.SYS_SETNS, uint64(sent[0]), unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := m.users.enterUsers(p, s.Owner); err != nil {
		return err
	}
	if _, err := p.Call(unix.SYS_UNSHARE, unix.CLONE_NEWNS); err != nil {
		return err
	}
	s.ns, err = m.keeping(openNS(fmt.Sprintf("/proc/%d/ns/mnt", p.PID())))
	return err
}

// openCopied opens the mounts of a copy. Of several at one place, only the last can
// be reached.
func (m *mounter) openCopied(s *space) error {
	if err := m.enter(s.ns); err != nil {
		return err
	}
	// It is a slave of what it is a copy of.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make a mount namespace private: %w", err)
	}
	last := map[string]uint32{}
	made := slices.DeleteFunc(slices.Clone(s.original.Mounts), func(m *format.Mount) bool { return slices.Contains(s.original.later, m) })
	for _, mount := range made {
		last[mount.Mountpoint] = mount.MountId
	}
	for _, mount := range made {
		fd, err := -1, error(nil)
		if last[mount.Mountpoint] == mount.MountId {
			fd, err = m.keeping(unix.Open(mount.Mountpoint, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0))
		}
		if err != nil {
			return fmt.Errorf("open mount %s: %w", describe(mount), err)
		}
		s.mounts[mount.MountId] = fd
	}
	return nil
}
