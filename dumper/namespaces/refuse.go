package namespaces

import (
	"slices"
	"strings"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// refuseMounts refuses what a restart can't mount: once for each file system
// and reason.
func (r *Result) refuseMounts(m Mounts) {
	type once struct {
		fs     uint32
		reason string
	}
	seen := map[once]bool{}
	external := r.external(m)
	for _, n := range r.order {
		for _, mount := range n.Mounts {
			reason, remedy := r.mountObstacle(n, mount, m)
			if reason != "" && slices.ContainsFunc(external, func(e *format.Mount) bool { return inRoot(mount, e) }) {
				mount.External = slices.Contains(external, mount)
				continue
			}
			if reason == "" || seen[once{mount.FileSystem, reason}] {
				continue
			}
			seen[once{mount.FileSystem, reason}] = true
			refused := &refusal.Refusal{Object: "mount " + mount.Mountpoint, Kind: mount.Fstype, Reason: reason, Remedy: remedy}
			if n.nested {
				refused.PID, refused.Command = n.who.NSPID, n.who.Command
			}
			r.refused = append(r.refused, refused)
		}
	}
}

// external are the mounts that the operator will say about what they are. A name
// that there is no need for is refused: it is a mistake.
func (r *Result) external(m Mounts) (all []*format.Mount) {
	for _, name := range m.External {
		var found *format.Mount
		for _, n := range r.order {
			for _, mount := range n.Mounts {
				if !n.nested && mount.Mountpoint == name {
					found = mount // what lies on top is what is seen
				}
			}
		}
		reason := "nothing is mounted there in the container (its /proc/self/mountinfo shows what is)"
		if found != nil {
			if obstacle, _ := r.mountObstacle(r.firstMounts(), found, m); obstacle != "" {
				all = append(all, found)
				continue
			}
			reason = "a restart mounts that again by itself"
		}
		r.refused = append(r.refused, &refusal.Refusal{Object: "--external mount:" + name, Reason: reason, Remedy: "leave the option out"})
	}
	return all
}

// firstMounts is the mount namespace that the container's first process is in.
func (r *Result) firstMounts() *object {
	for _, n := range r.order {
		if n.Kind == format.NamespaceKind_MNT && !n.nested {
			return n
		}
	}
	return nil
}

// mountObstacle says why a restart can't mount something; "" if it can, or need
// not.
func (r *Result) mountObstacle(n *object, mount *format.Mount, m Mounts) (reason, remedy string) {
	f := r.fileSystem(mount.FileSystem)
	unmount := "unmount it, or have LXC mount it (lxc.mount.entry in the container's config)"
	byLXC := !n.nested && m.lxcMakes(mount.Mountpoint)
	switch {
	case strings.HasSuffix(mount.Root, "//deleted") && byLXC:
		return "it is of a directory or file of the host that was removed, so a restart could not find it",
			"make that again on the host, since the container's config binds it, and unmount the removed one in the container (umount -l " + mount.Mountpoint + ")"
	case strings.HasSuffix(mount.Root, "//deleted"):
		return "it is of a directory or file that was removed, so a restart could not find it", "unmount it"
	case mount.IsIDMapped() && !r.isOfRoot(mount) && !byLXC && mount.IDMap() == format.OwnIDMap:
		return "it is id-mapped, and this kernel does not tell how (Linux 6.15 does), or another mount covers it", unmount
	case byLXC || isMakeable(f.Fstype):
		return "", ""
	case f.Fstype == "nsfs" && mount.Namespace != 0:
		return "", ""
	case f.Fstype == "nsfs":
		return "it shows the namespace " + mount.Root + ", which is not the container's, or of a kind that this version can't make for a mount", "unmount it (umount " + mount.Mountpoint + "), or, of pid and time, keep a process in it"
	case f.Fstype == "fuse" || strings.HasPrefix(f.Fstype, "fuse."):
		return "a process serves it, and a restart can't reconnect the two", "unmount it (fusermount -u), or serve it from outside and have LXC mount it (lxc.mount.entry in the container's config)"
	case f.Outside:
		if m.LXC && !r.shown(mount, m) {
			return "it comes from outside of the container, and its config does not mount it",
				"have LXC mount it (lxc.mount.entry in the container's config), or save it by its name (--external " + mount.ExternalName() + "), and say at the restart what is to be there"
		}
		return "", ""
	case strings.HasPrefix(f.Source, "/dev/"):
		return "it is on a device of the host that the container has mounted by itself", "mount it on the host, and have LXC bind it (lxc.mount.entry in the container's config), or save it by its name (--external " + mount.ExternalName() + "), and say at the restart where the host has it"
	case r.shown(mount, m):
		return "", ""
	case f.Fstype == "overlay":
		return r.overlays[f.Id].reason, r.overlays[f.Id].remedy
	}
	return "it was mounted inside the container, and this version can't mount a file system of this type again", unmount
}

// isOfRoot tells whether an id-mapped mount shows a part of the container's root,
// which is id-mapped for the container's users (lxc.rootfs.options = idmap=container),
// and so is each copy of it: nobody can change that of a copy (can_idmap_mount,
// fs/namespace.c).
func (r *Result) isOfRoot(mount *format.Mount) bool {
	for _, n := range r.order {
		if n.Kind == format.NamespaceKind_MNT && !n.nested {
			root := n.Mounts[0]
			return r.hasUsers() && root.IsIDMapped() && inRoot(mount, root)
		}
	}
	return false
}

// hasUsers tells whether the container has a user namespace of its own.
func (r *Result) hasUsers() bool {
	return slices.ContainsFunc(r.order, func(o *object) bool { return o.Kind == format.NamespaceKind_USER && o.Own && !o.nested })
}

// shown tells whether a mount shows a part of what LXC mounts from the config.
func (r *Result) shown(mount *format.Mount, m Mounts) bool {
	for _, n := range r.order {
		if n.Kind != format.NamespaceKind_MNT || n.nested {
			continue
		}
		for _, base := range n.Mounts {
			if m.lxcMakes(base.Mountpoint) && inRoot(mount, base) && (base.IDMap() == "" || base.IDMap() == mount.IDMap()) {
				return true
			}
		}
	}
	return false
}
