package fds

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// lookFanotify reads the flags and marks of a group from fdinfo (fanotify_fdinfo,
// fs/notify/fdinfo.c).
func lookFanotify(w *walk, f *file) error {
	fd, err := f.copy()
	if err != nil {
		return err
	}
	unread, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return err
	}
	group := &format.Fanotify{}
	f.Kind = &format.OpenFile_Fanotify{Fanotify: group}
	for _, line := range f.info.More {
		name, isOurs := strings.CutPrefix(line.Key, "fanotify ")
		if !isOurs {
			continue
		}
		if err := w.fanotifyLine(f, group, name, line.Value); err != nil {
			return err
		}
	}
	if group.Flags&format.FanClasses != 0 {
		return f.refuse(fanotifyKind, "it is asked whether files may be opened (FAN_CLASS_CONTENT), and who asks would wait for a program that is stopped", "end the program before the checkpoint")
	}
	if err := f.checkListener(group); err != nil {
		return err
	}
	if unread > 0 {
		return f.refuseNow(fanotifyKind, fmt.Sprintf("%d bytes of events wait to be read, and only the kernel can put events there", unread), "checkpoint again when the program has read them")
	}
	return nil
}

// fanotifyKind is what a refusal calls it.
const fanotifyKind = "fanotify"

// fanotifyLine reads one line, which begins with a word and its value.
func (w *walk) fanotifyLine(f *file, group *format.Fanotify, name, value string) error {
	words := map[string]string{}
	for word := range strings.FieldsSeq(name + ":" + value) {
		key, value, _ := strings.Cut(word, ":")
		words[key] = value
	}
	var bad error
	n := func(key string) uint64 {
		v, err := strconv.ParseUint(words[key], 16, 64)
		if err != nil {
			bad = fmt.Errorf("the kernel tells of a fanotify in a form that is not known: %q", name+":"+value)
		}
		return v
	}
	if name == "flags" {
		group.Flags, group.EventFlags = uint32(n("flags")), uint32(n("event-flags"))
		return bad
	}
	mark := &format.FanotifyMark{Flags: uint32(n("mflags")), Mask: n("mask"), Ignored: n("ignored_mask")}
	if bad != nil {
		return bad
	}
	var there bool
	var err error
	switch name {
	case "ino":
		there, err = w.markedInode(f, mark, value)
	case "mnt_id":
		mark.Kind = format.FanMarkMount
		id := int(n("mnt_id"))
		there, err = w.markedMount(f, mark, fmt.Sprintf("mount %d, which it has marked,", id), func(m *procfs.Mount) bool { return m.ID == id })
	case "sdev":
		mark.Kind = format.FanMarkFilesystem
		dev := n("sdev") // the kernel's own form, as in parseWatch
		major, minor := int(dev>>20), int(dev&0xfffff)
		there, err = w.markedMount(f, mark, fmt.Sprintf("the file system of device %d:%d, which it has marked,", major, minor), func(m *procfs.Mount) bool { return m.Major == major && m.Minor == minor })
	default:
		return f.refuse(fanotifyKind, "it has a mark of a kind that this version does not know ("+name+")", "have the program take it back, or end the program, before the checkpoint")
	}
	if err == nil && bad == nil && there {
		group.Marks = append(group.Marks, mark)
	}
	if err == nil {
		err = bad
	}
	return err
}

// markedInode finds the path of a marked inode; not there if nobody can reach it any
// more, so that it tells nothing.
func (w *walk) markedInode(f *file, mark *format.FanotifyMark, value string) (there bool, err error) {
	watch, err := parseWatch("1 ino:" + value)
	if err != nil {
		return false, err
	}
	watch.kind = fanotifyKind
	mark.File, err = w.watched(f, watch)
	return mark.File != nil, err
}

// markedMount finds a mount of the container.
func (w *walk) markedMount(f *file, mark *format.FanotifyMark, what string, is func(m *procfs.Mount) bool) (there bool, err error) {
	mounts, err := w.mountsOf(f.PID)
	if err != nil {
		return false, err
	}
	for _, m := range mounts {
		if !is(m) {
			continue
		}
		root, namespace := w.rootOfMount(m.ID)
		if namespace == 0 && !w.mounts[m.ID] || !leadsTo(root, m) {
			continue
		}
		mark.Mountpoint, mark.MountNamespace = m.Mountpoint, namespace
		return true, nil
	}
	return false, f.refuse(fanotifyKind, what+" is not to be reached by a path of the container", "have the program take the mark back, or end the program, before the checkpoint")
}

// leadsTo tells whether a mount shows at its mountpoint, and no other one hides it.
func leadsTo(root int, m *procfs.Mount) bool {
	fd, err := unix.Openat2(root, m.Mountpoint, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	info, err := procfs.ReadFDInfo(os.Getpid(), fd)
	return err == nil && info.MountID == m.ID
}

// checkListener refuses a group that an ordinary user may have made: what it is told
// is less, and the kernel does not say that it is one (FANOTIFY_UNPRIV).
func (f *file) checkListener(group *format.Fanotify) error {
	const byHandle, admin = 0x200, 21 // FAN_REPORT_FID, without which it takes CAP_SYS_ADMIN
	if group.Flags&byHandle == 0 {
		return nil
	}
	s, err := procfs.ReadStatus(f.PID)
	if err != nil {
		return err
	}
	ours, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return err
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", f.PID))
	if err != nil {
		return err
	}
	if s.CapEff&(1<<admin) == 0 || ours != theirs {
		return f.refuse(fanotifyKind, "its process has no CAP_SYS_ADMIN, and the kernel does not tell whether it is a listener with less rights", "end the program before the checkpoint")
	}
	return nil
}
