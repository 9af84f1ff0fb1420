package namespaces

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// kernels are types of file systems of which each kernel, or each namespace, has
// one: to mount it again is to show it again.
var kernels = []string{
	"cgroup", "cgroup2", "mqueue", "sysfs", "debugfs", "tracefs", "securityfs", "configfs", "fusectl", "pstore", "binfmt_misc", "efivarfs",
}

// own are those that begin empty.
var own = []string{"tmpfs", "ramfs", "proc", "devpts", "hugetlbfs", "bpf"}

// canMake tells whether a file system can be made again.
func canMake(f *format.FileSystem) bool {
	return slices.Contains(kernels, f.Fstype) || !f.Outside && slices.Contains(own, f.Fstype)
}

// fileSystemOptions are the options of a super block (mountinfo) that it is made
// with. That it is read-only comes when its files are there.
func fileSystemOptions(f *format.FileSystem) []string {
	var all []string
	for o := range strings.SplitSeq(f.Options, ",") {
		switch {
		case o == "" || o == "rw" || o == "ro" || o == "seclabel" || strings.HasPrefix(o, "lazytime"):
		case isCgroup(f.Fstype) && f.Fstype == "cgroup2":
			// Its options are the whole host's.
		default:
			all = append(all, o)
		}
	}
	return all
}

func isReadOnly(f *format.FileSystem) bool {
	return slices.Contains(strings.Split(f.Options, ","), "ro")
}

// makeFileSystem mounts a file system nowhere; the descriptor of the mount is
// ours.
func makeFileSystem(f *format.FileSystem) (int, error) {
	context, err := unix.Fsopen(f.Fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("make a file system of type %s: %w", f.Fstype, err)
	}
	defer unix.Close(context)
	if f.Source != "" {
		_ = unix.FsconfigSetString(context, "source", f.Source) // only shown
	}
	for _, o := range fileSystemOptions(f) {
		key, value, hasValue := strings.Cut(o, "=")
		if hasValue {
			err = unix.FsconfigSetString(context, key, value)
		} else {
			err = unix.FsconfigSetFlag(context, key)
		}
		if err != nil {
			return -1, fmt.Errorf("make a file system of type %s with option %s: %w", f.Fstype, o, err)
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, fmt.Errorf("make a file system of type %s (%s): %w", f.Fstype, f.Options, err)
	}
	fd, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("mount a file system of type %s: %w", f.Fstype, err)
	}
	return fd, nil
}

// makeIn has a process of the container do the same: proc shows the pid namespace
// of whoever makes it, and others belong to the user namespace of that.
func makeIn(p place.Process, f *format.FileSystem, users *format.Users) (int, error) {
	c := caller{p: p}
	context := c.call(unix.SYS_FSOPEN, c.text(0, f.Fstype), unix.FSOPEN_CLOEXEC)
	c.call(unix.SYS_FSCONFIG, context, unix.FSCONFIG_SET_STRING, c.text(0, "source"), c.text(1, f.Source), 0)
	for _, o := range fileSystemOptions(f) {
		key, value, hasValue := strings.Cut(translated(o, users), "=")
		if hasValue {
			c.call(unix.SYS_FSCONFIG, context, unix.FSCONFIG_SET_STRING, c.text(0, key), c.text(1, value), 0)
		} else {
			c.call(unix.SYS_FSCONFIG, context, unix.FSCONFIG_SET_FLAG, c.text(0, key), 0, 0)
		}
	}
	c.call(unix.SYS_FSCONFIG, context, unix.FSCONFIG_CMD_CREATE, 0, 0, 0)
	mount := c.call(unix.SYS_FSMOUNT, context, unix.FSMOUNT_CLOEXEC, 0)
	fd := -1
	if c.err == nil {
		fd, c.err = p.Take(int(mount))
		c.call(unix.SYS_CLOSE, mount)
		c.call(unix.SYS_CLOSE, context)
	}
	if c.err != nil {
		return -1, fmt.Errorf("mount %s (%s) in the container: %w", f.Fstype, f.Options, c.err)
	}
	return fd, nil
}

// translated is an option as it is in a user namespace: mountinfo has the host's
// ids.
func translated(option string, users *format.Users) string {
	key, value, _ := strings.Cut(option, "=")
	id, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return option
	}
	switch key {
	case "uid":
		if there, ok := users.UID(uint32(id)); ok {
			return fmt.Sprintf("uid=%d", there)
		}
	case "gid":
		if there, ok := users.GID(uint32(id)); ok {
			return fmt.Sprintf("gid=%d", there)
		}
	}
	return option
}

// caller makes calls in a process until one fails.
type caller struct {
	p   place.Process
	err error
}

func (c *caller) call(nr uint64, args ...uint64) uint64 {
	if c.err != nil {
		return 0
	}
	var result uint64
	result, c.err = c.p.Call(nr, args...)
	return result
}

// text puts a string into one of two places of the scratch.
func (c *caller) text(which int, s string) uint64 {
	addr, _ := c.p.Scratch()
	addr += uint64(which) * 8192
	if c.err == nil {
		c.err = c.p.Write(addr, append([]byte(s), 0))
	}
	return addr
}

// mountAttributes are the options of a mount as mount_setattr(2) takes them.
func mountAttributes(options string) *unix.MountAttr {
	a := &unix.MountAttr{
		Attr_clr: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC |
			unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME | unix.MOUNT_ATTR_NOSYMFOLLOW,
		Attr_set: unix.MOUNT_ATTR_STRICTATIME,
	}
	for o := range strings.SplitSeq(options, ",") {
		switch o {
		case "ro":
			a.Attr_set |= unix.MOUNT_ATTR_RDONLY
		case "nosuid":
			a.Attr_set |= unix.MOUNT_ATTR_NOSUID
		case "nodev":
			a.Attr_set |= unix.MOUNT_ATTR_NODEV
		case "noexec":
			a.Attr_set |= unix.MOUNT_ATTR_NOEXEC
		case "nodiratime":
			a.Attr_set |= unix.MOUNT_ATTR_NODIRATIME
		case "nosymfollow":
			a.Attr_set |= unix.MOUNT_ATTR_NOSYMFOLLOW
		case "relatime":
			a.Attr_set &^= unix.MOUNT_ATTR__ATIME
		case "noatime":
			a.Attr_set = a.Attr_set&^unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NOATIME
		}
	}
	return a
}
