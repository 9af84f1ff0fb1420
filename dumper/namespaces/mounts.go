package namespaces

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// mounts lists the mounts of a mount namespace, parents before their children.
func mounts(_ *Result, n *object) error {
	all, err := view.ReadMounts(n.path())
	if err != nil {
		return err
	}
	for _, m := range procfs.ParentsFirst(all) {
		n.Mounts = append(n.Mounts, &format.Mount{
			MountId: uint32(m.ID), ParentId: uint32(m.Parent),
			Device: uint64(m.Major)<<32 | uint64(m.Minor),
			Root:   m.Root, Mountpoint: m.Mountpoint,
			Options: m.Options, Propagation: m.Optional,
			Fstype: m.FSType, Source: m.Source, SuperOptions: m.VFSOptions,
		})
	}
	if len(n.Mounts) < len(all) {
		return fmt.Errorf("%d of its %d mounts do not hang together", len(all)-len(n.Mounts), len(all))
	}
	return nil
}

// Mounts are what LookAtMounts has to know.
type Mounts struct {
	// Configured are the places where the container's config mounts; nil if
	// that is not known.
	Configured []string
	// LXC: LXC has made the container, and will again.
	LXC bool
	// External are places in the container where the operator will say at a restart
	// what is to be mounted.
	External []string
}

// LookAtMounts finds out what the mounts are of, and what is in those file
// systems that end with the container. It refuses what a restart can't mount.
func (r *Result) LookAtMounts(ids *view.IDs, m Mounts) error {
	ours, err := procfs.ReadMounts(os.Getpid())
	if err != nil {
		return err
	}
	known := map[uint64]*format.FileSystem{}
	for _, n := range r.order {
		if n.Kind != format.NamespaceKind_MNT || !n.Own {
			n.Mounts = nil // the host's own: nothing is mounted there
			continue
		}
		for _, mount := range n.Mounts {
			f := known[mount.Device]
			if f == nil {
				f = &format.FileSystem{
					Id: ids.Next(), Device: mount.Device, Fstype: mount.Fstype, Source: mount.Source, Options: mount.SuperOptions,
					Outside: outlives(mount.Device, ours),
				}
				known[mount.Device] = f
				r.FileSystems = append(r.FileSystems, f)
			}
			mount.FileSystem = f.Id
		}
	}
	if err := r.lookAtProcs(); err != nil {
		return err
	}
	r.showNamespaces()
	if err := r.lookAtIDMaps(); err != nil {
		return err
	}
	if err := r.lookAtOverlays(m); err != nil {
		return err
	}
	r.refuseMounts(m)
	return r.lookAtTrees(ids)
}

// outlives tells whether a file system is one of the host's too.
func outlives(device uint64, ours []*procfs.Mount) bool {
	return slices.ContainsFunc(ours, func(o *procfs.Mount) bool {
		return uint64(o.Major)<<32|uint64(o.Minor) == device
	})
}

func (r *Result) fileSystem(id uint32) *format.FileSystem {
	i := slices.IndexFunc(r.FileSystems, func(f *format.FileSystem) bool { return f.Id == id })
	return r.FileSystems[i]
}

// makeable are the types of file systems that a restart mounts: they live in
// memory, or show what the kernel has.
var makeable = []string{
	"tmpfs", "ramfs", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "hugetlbfs",
	"debugfs", "tracefs", "securityfs", "configfs", "fusectl", "pstore", "binfmt_misc", "bpf", "efivarfs",
}

func isMakeable(fstype string) bool { return slices.Contains(makeable, fstype) }

// lxcMakes tells whether the container's config mounts something at a place.
func (m Mounts) lxcMakes(place string) bool {
	if !m.LXC {
		return false
	}
	return m.Configured == nil || place == "/" || slices.Contains(m.Configured, place)
}

// inRoot tells whether a mount shows a part of what another one does.
func inRoot(m, of *format.Mount) bool {
	return m.FileSystem == of.FileSystem && (of.Root == "/" || m.Root == of.Root || strings.HasPrefix(m.Root, of.Root+"/"))
}
