package namespaces

import (
	"path"
	"strings"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// match is how the mounts that a namespace had compare with those that it has
// now, made by LXC from the container's config or copied from the host. It is
// worked out from the two lists alone.
type match struct {
	now   map[uint32]*procfs.Mount // by the number that it had
	extra []*procfs.Mount          // what it has now and had not
	// devices are the file systems of today by their number in the image.
	devices map[uint32]uint64

	sameHost, sameBoot bool
}

// compare matches mounts, parents before their children: a mount is the one
// that it was if it lies at the same place of the same parent, and shows the
// same of a file system of the same type. sameHost: what is mounted now is a
// copy of the host's, so that devices and paths in them must be the same too.
// sameBoot: the image was made during this run of the kernel.
func compare(s *format.Skeleton, had []*format.Mount, now []*procfs.Mount, sameHost, sameBoot bool) *match {
	m := &match{now: map[uint32]*procfs.Mount{}, devices: map[uint32]uint64{}, sameHost: sameHost, sameBoot: sameBoot}
	now = procfs.ParentsFirst(now)
	if len(now) == 0 || len(had) == 0 {
		return m
	}
	children := map[int][]*procfs.Mount{}
	for _, c := range now[1:] {
		children[c.Parent] = append(children[c.Parent], c)
	}
	taken := map[int]bool{}
	take := func(h *format.Mount, c *procfs.Mount) {
		m.now[h.MountId], taken[c.ID] = c, true
		m.devices[h.FileSystem] = number(c)
	}
	root := had[0]
	if sameHost && (!m.sameDevice(root, now[0]) || now[0].Root != root.Root) {
		m.extra = now
		return m
	}
	take(root, now[0])
	for _, h := range had[1:] {
		parent := m.now[h.ParentId]
		if parent == nil {
			continue
		}
		for _, c := range children[parent.ID] {
			if !taken[c.ID] && c.Mountpoint == h.Mountpoint && c.FSType == h.Fstype && m.shows(s, h, c, root, now[0]) {
				take(h, c)
				break
			}
		}
	}
	for _, c := range now {
		if !taken[c.ID] {
			m.extra = append(m.extra, c)
		}
	}
	return m
}

// shows tells whether a mount of today shows of its file system what another
// one did.
func (m *match) shows(s *format.Skeleton, had *format.Mount, now *procfs.Mount, root *format.Mount, rootNow *procfs.Mount) bool {
	device, known := m.devices[had.FileSystem]
	if known && device != number(now) {
		return false
	}
	f := s.FileSystem(had.FileSystem)
	switch {
	case m.sameHost && f.Outside:
		return m.sameDevice(had, now) && now.Root == had.Root
	case had.FileSystem == root.FileSystem:
		a, inA := below(had.Root, root.Root)
		b, inB := below(now.Root, rootNow.Root)
		return inA == inB && (!inA || a == b)
	case f.Outside || isCgroup(f.Fstype):
		return true // another host, or another name: another path
	}
	return now.Root == had.Root
}

// sameDevice tells whether a mount is of the device that another one was of.
// Where there is none (tmpfs, overlay, btrfs), the kernel counts mounts, with major
// 0: after another start of a kernel only the type says something.
func (m *match) sameDevice(had *format.Mount, now *procfs.Mount) bool {
	if had.Device>>32 == 0 && !m.sameBoot {
		return now.Major == 0 && now.FSType == had.Fstype
	}
	return number(now) == had.Device
}

func number(m *procfs.Mount) uint64 { return uint64(m.Major)<<32 | uint64(m.Minor) }

func isCgroup(fstype string) bool { return fstype == "cgroup" || fstype == "cgroup2" }

// below is a path as it counts from another one, "/" for itself.
func below(p, top string) (string, bool) {
	switch {
	case top == "/":
		return p, true
	case p == top:
		return "/", true
	case strings.HasPrefix(p, top+"/"):
		return path.Clean("/" + strings.TrimPrefix(p, top)), true
	}
	return "", false
}
