package fds

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
)

// lookInotify reads the watches from fdinfo (inotify_fdinfo, fs/notify/fdinfo.c).
// Each names its inode by a file handle, which leads to a path.
func lookInotify(w *walk, f *file) error {
	fd, err := f.copy()
	if err != nil {
		return err
	}
	unread, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return err
	}
	cgroups, err := w.cgroup2Devices(f.PID)
	if err != nil {
		return err
	}
	in := &format.Inotify{CgroupsChanged: unread > 0}
	f.Kind = &format.OpenFile_Inotify{Inotify: in}
	for _, line := range f.info.More {
		if line.Key != "inotify wd" {
			continue
		}
		watch, err := parseWatch(line.Value)
		if err != nil {
			return err
		}
		if watch.wd > format.MaxWatch {
			return f.refuse("inotify", fmt.Sprintf("it has given out watch descriptor %d, and a restart counts up to %d at most", watch.wd, format.MaxWatch), "restart the program before the checkpoint")
		}
		if !cgroups[watch.device] {
			in.CgroupsChanged = false
		}
		id, err := w.watched(f, watch)
		if err != nil {
			return err
		}
		in.Watches = append(in.Watches, &format.InotifyWatch{Wd: watch.wd, Mask: watch.mask, File: id})
	}
	if unread > 0 && (!in.CgroupsChanged || len(in.Watches) == 0) {
		return f.refuseNow("inotify", fmt.Sprintf("%d bytes of events wait to be read, and only the kernel can put events there", unread), "checkpoint again when the program has read them")
	}
	// The kernel has the newest first.
	slices.SortFunc(in.Watches, func(a, b *format.InotifyWatch) int { return int(a.Wd) - int(b.Wd) })
	return nil
}

// cgroup2Devices are the devices, as stat(2) has them, of the cgroups of v2 that a
// process sees, and of those that are gone. A freeze or thaw is a change of the file cgroup.events of each
// (kernfs_notify in kernel/cgroup/freezer.c, Linux 6.18): systemd, which watches
// those of its services, has the freeze for our checkpoint among its events.
func (w *walk) cgroup2Devices(pid int) (map[uint64]bool, error) {
	mounts, err := w.mountsOf(pid)
	if err != nil {
		return nil, err
	}
	pipes, err := pipeDevice() // what a restart has made of a watch of a cgroup that is gone
	devices := map[uint64]bool{pipes: true}
	for _, m := range mounts {
		if m.FSType == "cgroup2" {
			devices[unix.Mkdev(uint32(m.Major), uint32(m.Minor))] = true
		}
	}
	return devices, err
}

// watch is a line of an inotify's fdinfo.
type watch struct {
	kind     string // of what has it
	wd, mask uint32
	inode    uint64
	device   uint64 // as stat(2) has it
	handle   unix.FileHandle
}

// parseWatch parses "3 ino:9e7e sdev:800013 mask:800afce ignored_mask:0
// fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d".
func parseWatch(text string) (*watch, error) {
	bad := fmt.Errorf("the kernel tells a watch of inotify in a form that is not known: %q", text)
	number, rest, _ := strings.Cut(text, " ")
	wd, err := strconv.ParseUint(number, 16, 32) // %x since it is there
	if err != nil || wd == 0 {
		return nil, bad
	}
	words := map[string]string{}
	for word := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(word, ":")
		words[key] = value
	}
	n := func(key string) uint64 {
		v, e := strconv.ParseUint(words[key], 16, 64)
		if e != nil {
			err = bad
		}
		return v
	}
	dev := n("sdev") // the kernel's own form, MKDEV of include/linux/kdev_t.h
	w := &watch{kind: "inotify", wd: uint32(wd), mask: uint32(n("mask")), inode: n("ino"), device: unix.Mkdev(uint32(dev>>20), uint32(dev&0xfffff))}
	if err != nil {
		return nil, err
	}
	if words["f_handle"] != "" {
		handle, e := hex.DecodeString(words["f_handle"])
		if typ := n("fhandle-type"); err == nil && e == nil {
			w.handle = unix.NewFileHandle(int32(typ), handle)
		}
	}
	return w, nil
}

// watched finds the path of what a watch watches; nil if that is gone for good,
// so that the watch tells nothing any more. When a cgroup is removed, its files
// vanish from under their watches without a word (kernfs, Linux 6.18): systemd
// has such watches of services that have ended.
func (w *walk) watched(f *file, t *watch) (*format.FileIdentity, error) {
	lost := func(how string) error {
		what := "what it has marked"
		if t.kind == "inotify" {
			what = fmt.Sprintf("what it watches under descriptor %d", t.wd)
		}
		return f.refuse(t.kind, fmt.Sprintf("%s, inode %d of device %d:%d, %s", what, t.inode, unix.Major(t.device), unix.Minor(t.device), how), "have the program end that watch, or end the program, before the checkpoint")
	}
	pipes, err := pipeDevice()
	if err != nil {
		return nil, err
	}
	if t.device == pipes {
		return nil, nil // by a restart, for something that was gone already
	}
	if t.handle.Size() == 0 {
		return nil, lost("is on a file system that gives no file handles")
	}
	mounts, err := w.mountsOf(f.PID)
	if err != nil {
		return nil, err
	}
	how := "is on no mount of the container"
	for _, m := range mounts {
		if unix.Mkdev(uint32(m.Major), uint32(m.Minor)) != t.device {
			continue
		}
		root, namespace := w.rootOfMount(m.ID)
		id, err := watchedOn(root, m.Mountpoint, t)
		if err == nil {
			id.MountNamespace = namespace
			return id, nil
		}
		if errors.Is(err, unix.ESTALE) {
			return nil, nil // nobody can reach it any more
		}
		how = "is not reachable by a path: " + err.Error()
	}
	return nil, lost(how)
}

// pipeDevice is the device number of pipes.
func pipeDevice() (uint64, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	var st unix.Stat_t
	err := unix.Fstat(ends[0], &st)
	return st.Dev, err
}

// watchedOn finds the path of what a watch watches below a mount.
func watchedOn(root int, mountpoint string, t *watch) (*format.FileIdentity, error) {
	fd, err := openHandle(root, mountpoint, t.handle)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	there, err := statIn(root, path, unix.O_NOFOLLOW)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if there.Ino != st.Ino || there.Dev != st.Dev {
		return nil, fmt.Errorf("%s is another file now", path)
	}
	return identityOf(path, &st), nil
}

// openHandle opens a file by its handle. It names the mount by the working
// directory of a thread of its own: to open the mount's root would tell those
// who watch that.
func openHandle(root int, mountpoint string, handle unix.FileHandle) (fd int, err error) {
	err = elsewhere.Run(func() (err error) {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		mount, err := unix.Openat2(root, mountpoint, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
		if err != nil {
			return err
		}
		defer unix.Close(mount)
		if err := unix.Fchdir(mount); err != nil {
			return err
		}
		fd, err = unix.OpenByHandleAt(unix.AT_FDCWD, handle, unix.O_PATH|unix.O_CLOEXEC)
		return err
	})
	return fd, err
}
