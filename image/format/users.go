package format

import (
	"fmt"
	"slices"
	"strings"
)

// Users translates ids of users and groups, which are the host's in all of an
// image, to those of a user namespace. nil is the host's.
type Users UserNamespace

// UsersOf are those of the user namespace among a set of namespaces.
func (s *Skeleton) UsersOf(namespaces []uint32) *Users {
	return s.UsersIn(s.UserNamespaceOf(namespaces))
}

// UsersIn are those of a user namespace; 0 is the host's.
func (s *Skeleton) UsersIn(id uint32) *Users { return (*Users)(s.Namespace(id).GetUser()) }

// RootUsers are those of the user namespace of the container's first process.
func (s *Skeleton) RootUsers() *Users {
	return s.UsersOf(s.Process(s.Container.GetRootPid()).GetNamespaces())
}

// First are the first user and group of the namespace, as the host calls them: ids
// that every file system of the namespace knows.
func (u *Users) First() (uid, gid uint32) {
	if u == nil || len(u.Uids) == 0 || len(u.Gids) == 0 {
		return 0, 0
	}
	return u.Uids[0].Outside, u.Gids[0].Outside
}

// UserNamespaceOf is the user namespace among a set of namespaces; 0 if there is
// none.
func (s *Skeleton) UserNamespaceOf(namespaces []uint32) uint32 {
	i := slices.IndexFunc(namespaces, func(id uint32) bool { return s.Namespace(id).GetKind() == NamespaceKind_USER })
	if i < 0 {
		return 0
	}
	return namespaces[i]
}

// IPCNamespaceOf is the IPC namespace among a set of namespaces; nil if there is
// none.
func (s *Skeleton) IPCNamespaceOf(namespaces []uint32) *Namespace {
	for _, id := range namespaces {
		if n := s.Namespace(id); n != nil && n.Kind == NamespaceKind_IPC {
			return n
		}
	}
	return nil
}

// LivesIn is the IPC namespace of an object, by the number that it has in the image
// (SysvSegment.namespace); nil if there is none.
func (s *Skeleton) LivesIn(namespace uint32) *Namespace {
	if namespace == 0 {
		return s.IPCNamespaceOf(s.Process(s.Container.RootPid).GetNamespaces())
	}
	return s.IPCNamespaceOf([]uint32{namespace})
}

// UID is what a user of the host is called in the namespace; ok is false if it
// has no name there.
func (u *Users) UID(host uint32) (id uint32, ok bool) {
	if u == nil {
		return host, true
	}
	return translate(u.Uids, host)
}

// GID is the same for a group.
func (u *Users) GID(host uint32) (id uint32, ok bool) {
	if u == nil {
		return host, true
	}
	return translate(u.Gids, host)
}

func translate(ranges []*IdRange, host uint32) (uint32, bool) {
	for _, r := range ranges {
		if host >= r.Outside && host-r.Outside < r.Count {
			return r.Inside + (host - r.Outside), true
		}
	}
	return 0, false
}

// IsIDMapped tells whether a mount shows other owners of files than its file system
// has (MOUNT_ATTR_IDMAP, mount_setattr(2)).
func (m *Mount) IsIDMapped() bool {
	return slices.Contains(strings.Split(m.GetOptions(), ","), "idmapped")
}

// IDMap tells id-mapped mounts with different maps apart: "" is one that is not
// id-mapped, "container" one with the map of the container's users.
func (m *Mount) IDMap() string {
	switch {
	case !m.IsIDMapped():
		return ""
	case len(m.Uids) == 0 && len(m.Gids) == 0:
		return OwnIDMap
	}
	return IDMapText(m.Uids) + "," + IDMapText(m.Gids)
}

// OwnIDMap is IDMap of a mount with the map of the container's users.
const OwnIDMap = "container"

// IDMapText is a map as /proc/PID/uid_map has it.
func IDMapText(ranges []*IdRange) string {
	var text strings.Builder
	for _, r := range ranges {
		fmt.Fprintf(&text, "%d %d %d\n", r.Inside, r.Outside, r.Count)
	}
	return text.String()
}
