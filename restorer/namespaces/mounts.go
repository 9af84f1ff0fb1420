package namespaces

import (
	"fmt"
	"strings"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// checkMounts sees that the first process has the mounts that the container
// had, before anything is built on them. Below /proc, /sys and /dev they are
// as this host's LXC makes them.
//
// If the mount namespace is a copy of ours (without LXC, or without a root file
// system in its config), only the root is compared: what else was mounted on
// the host may differ.
func checkMounts(root place.Process, had []*format.Mount, hostMounts bool) error {
	have, err := procfs.ReadMounts(root.PID())
	if err != nil {
		return err
	}
	there := map[string]*procfs.Mount{}
	for _, m := range have {
		there[m.Mountpoint] = m
	}
	for _, m := range had {
		now := there[m.Mountpoint]
		switch {
		case hostMounts && m.Mountpoint != "/" || kernels(m.Mountpoint):
		case hostMounts && now != nil && (now.Root != m.Root || now.FSType != m.Fstype):
			return fmt.Errorf("the container had a root file system of its own, %s (%s), and now it gets the host's: restart it under LXC, without --native", m.Root, m.Fstype)
		case now == nil:
			return fmt.Errorf("the container had %s mounted on %s, and now it has not: give it back in the container's config (lxc.mount.entry)", m.Fstype, m.Mountpoint)
		case now.FSType != m.Fstype && m.Mountpoint != "/":
			return fmt.Errorf("the container had %s mounted on %s, and now it has %s there: change the container's config back (lxc.mount.entry)", m.Fstype, m.Mountpoint, now.FSType)
		}
	}
	return nil
}

func kernels(mountpoint string) bool {
	for _, own := range []string{"/proc", "/sys", "/dev"} {
		if mountpoint == own || strings.HasPrefix(mountpoint, own+"/") {
			return true
		}
	}
	return false
}
