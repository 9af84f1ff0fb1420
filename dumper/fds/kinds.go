package fds

import (
	"strings"

	"golang.org/x/sys/unix"
)

// kind is how an open file of one kind is recognised and looked at.
type kind struct {
	name string
	is   func(f *file) bool
	look func(w *walk, f *file) error
}

// kinds is searched in order; the first that recognises a file looks at it.
// What none recognises is refused by name.
var kinds = []kind{
	{"memory", func(f *file) bool { return f.object != nil }, lookMemory},
	{"namespace", isNamespace, lookNamespace},
	{"message queue", isMessageQueue, lookMessageQueue},
	{"regular file", func(f *file) bool { return f.typ() == unix.S_IFREG && named(f) }, lookRegular},
	{"directory", func(f *file) bool { return f.typ() == unix.S_IFDIR && named(f) }, lookDirectory},
	{"device", isPlainDevice, lookDevice},
	{"master of a pseudo terminal", isPtyMaster, lookPtyMaster},
	{"terminal", isTerminal, lookTerminal},
	{"pipe", func(f *file) bool { return strings.HasPrefix(f.link, "pipe:[") }, lookPipe},
	{"FIFO", func(f *file) bool { return f.typ() == unix.S_IFIFO && named(f) }, lookFIFO},
	{"eventfd", anonymous("eventfd"), lookEventfd},
	{"epoll", anonymous("eventpoll"), lookEpoll},
	{"timerfd", anonymous("timerfd"), lookTimerfd},
	{"signalfd", anonymous("signalfd"), lookSignalfd},
	{"inotify", anonymous("inotify"), lookInotify},
	{"fanotify", anonymous("fanotify"), lookFanotify},
	{"pidfd", func(f *file) bool { _, is := f.info.Get("NSpid"); return is || f.link == "anon_inode:[pidfd]" }, lookPidfd},
	{"BPF map", anonymous("bpf-map"), lookBPFMap},
	{"BPF program", anonymous("bpf-prog"), lookBPFProgram},
	{"io_uring", isUring, lookUring},
	{"BPF link", anonymous("bpf_link"), lookBPFLink},
	{"socket", func(f *file) bool { return f.typ() == unix.S_IFSOCK }, lookSocket},
}

// anonymous recognises a file of the kernel that only has a name: inotify's is
// without brackets.
func anonymous(name string) func(f *file) bool {
	return func(f *file) bool { return strings.Trim(strings.TrimPrefix(f.link, "anon_inode:"), "[]") == name }
}

func kindOf(f *file) *kind {
	for i := range kinds {
		if kinds[i].is(f) {
			return &kinds[i]
		}
	}
	return nil
}

// named says whether the file has a place in a directory tree; a memfd does
// not, though its link begins with a slash.
func named(f *file) bool {
	return strings.HasPrefix(f.link, "/") && !strings.HasPrefix(f.link, "/memfd:")
}

// describeUnknown names what no row recognises.
func describeUnknown(f *file) string {
	name := strings.TrimSuffix(strings.TrimPrefix(f.link, "anon_inode:"), " (deleted)")
	name = strings.Trim(name, "[]")
	switch {
	case f.typ() == unix.S_IFCHR:
		return "character device " + f.link
	case f.typ() == unix.S_IFBLK:
		return "block device " + f.link
	}
	return name // timerfd, signalfd, inotify, io_uring, pidfd, net:[4026531840] …
}
