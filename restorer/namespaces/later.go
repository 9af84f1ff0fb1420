package namespaces

import (
	"fmt"
	"slices"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// A proc that shows the processes of a pid namespace that a program has made can
// only be made by a process in that. So it, and what is mounted on it, comes when
// the processes are there; and after it the peer groups. So does a mount of such a
// namespace itself.

// showsNested tells whether a file system is such a one.
func (m *mounter) showsNested(f *format.FileSystem) bool {
	return f.Fstype == "proc" && f.PidNamespace != 0 && !slices.Contains(firstSet(m.s), f.PidNamespace)
}

// isLater tells whether a mount can't be made yet.
func (m *mounter) isLater(s *space, mount *format.Mount) bool {
	return m.showsNested(m.s.FileSystem(mount.FileSystem)) || m.isUnborn(mount.Namespace) ||
		slices.ContainsFunc(s.later, func(o *format.Mount) bool { return o.MountId == mount.ParentId })
}

// isUnborn tells whether a namespace that is to be mounted comes into being with its
// first process.
func (m *mounter) isUnborn(namespace uint32) bool {
	return m.s.Namespace(namespace).GetKind() == format.NamespaceKind_PID && !slices.Contains(firstSet(m.s), namespace)
}

func (m *mounter) isDeferred() bool {
	return slices.ContainsFunc(m.spaces, func(s *space) bool { return len(s.later) > 0 })
}

// NeedsProcs tells whether there is a proc to be made that shows a pid namespace.
func (r *Root) NeedsProcs(namespace uint32) bool {
	return slices.ContainsFunc(r.skeleton.FileSystems, func(f *format.FileSystem) bool {
		return f.PidNamespace == namespace && r.mounts.showsNested(f) && len(r.mounts.spaces) > 0
	})
}

// MakeProcs has a process make what shows the pid namespace that it is in.
func (r *Root) MakeProcs(p place.Process, namespace uint32) error {
	for _, f := range r.skeleton.FileSystems {
		if f.PidNamespace != namespace || !r.mounts.showsNested(f) {
			continue
		}
		fd, err := makeIn(p, f, nil)
		if err != nil {
			return err
		}
		r.mounts.made[f.Id] = fd
	}
	return nil
}

// FinishMounts makes the mounts that needed processes.
func (r *Root) FinishMounts() error {
	m := r.mounts
	if !m.isDeferred() {
		return nil
	}
	return m.run(m.takeLater, m.mountLater, m.joinGroups)
}

func (m *mounter) takeLater() error {
	if err := m.enter(m.workshop); err != nil {
		return err
	}
	for _, f := range m.s.FileSystems {
		fd, ok := m.made[f.Id]
		if !m.showsNested(f) || !ok {
			continue
		}
		if err := m.onBench(fd); err != nil {
			return err
		}
		m.sources = append(m.sources, source{f.Id, m.rootOf(f), fd, ""})
	}
	return nil
}

func (m *mounter) mountLater() error {
	for _, s := range m.spaces {
		for _, mount := range s.later {
			if err := m.enter(m.workshop); err != nil {
				return err
			}
			fd, err := m.copyOf(mount)
			if err != nil {
				return err
			}
			if fd < 0 {
				return fmt.Errorf("the container had %s mounted on %s, and nobody is in the pid namespace that it showed", mount.Fstype, mount.Mountpoint)
			}
			if err := m.enter(s.ns); err != nil {
				return err
			}
			if err := s.place(mount, fd); err != nil {
				return err
			}
		}
	}
	return nil
}
