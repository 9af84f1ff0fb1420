package namespaces

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
)

// mapIDs has a mount that is nowhere yet show the files of its file system as those of
// others, as one of the container did: of the container's users, who have other numbers
// on the host, or by a map of its own.
func (m *mounter) mapIDs(fd int, like *format.Mount) error {
	users, err := -1, error(nil)
	if like.IDMap() == format.OwnIDMap {
		users, err = m.users.Namespace(m.s.UserNamespaceOf(firstSet(m.s)))
	} else if users, err = elsewhere.UserNamespace(format.IDMapText(like.Uids), format.IDMapText(like.Gids)); err == nil {
		defer unix.Close(users)
	}
	if err != nil {
		return fmt.Errorf("a user namespace with the map of mount %s: %w", describe(like), err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users)}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("map the ids of mount %s (does its file system allow that on this kernel?): %w", describe(like), err)
	}
	return nil
}

// mapped makes a mount with a map in the workshop, of one there without any; nil: there
// is none.
func (m *mounter) mapped(mount *format.Mount) (*source, error) {
	plain := m.source(mount.FileSystem, mount.Root, "")
	if plain == nil || mount.IDMap() == "" {
		return nil, nil
	}
	fd, err := m.keeping(clone(plain.fd, "/"))
	if err == nil {
		err = m.mapIDs(fd, mount)
	}
	if err == nil {
		err = m.onBench(fd)
	}
	if err != nil {
		return nil, err
	}
	m.sources = append(m.sources, source{mount.FileSystem, plain.root, fd, mount.IDMap()})
	return &m.sources[len(m.sources)-1], nil
}

// mapExternal does it to what the operator says is to be there. If that is id-mapped,
// it stays as it is: the kernel maps nothing twice (can_idmap_mount, fs/namespace.c).
func (m *mounter) mapExternal(fd int, had *format.Mount) error {
	switch {
	case !had.IsIDMapped():
		return nil
	case had.IDMap() == format.OwnIDMap && m.s.UserNamespaceOf(firstSet(m.s)) == 0:
		// Saved on a kernel that does not tell the map (before Linux 6.15).
		m.log.Warn("a mount of the container was id-mapped, and is not now: it is not known how", "mount", had.Mountpoint)
		return nil
	}
	err := m.mapIDs(fd, had)
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}
