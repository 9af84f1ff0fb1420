package fds

import (
	"strconv"
	"strings"

	"lxc-checkpoint/image/format"
)

// namespaceInode takes the inode out of the link of a descriptor of
// /proc/PID/ns/KIND: "uts:[4026531838]" (ns_get_name, fs/nsfs.c).
func namespaceInode(f *file) (uint64, bool) {
	kind, number, found := strings.Cut(f.link, ":[")
	if !found || strings.Contains(kind, "/") || !strings.HasSuffix(number, "]") {
		return 0, false
	}
	switch kind {
	case "mnt", "uts", "ipc", "pid", "net", "user", "cgroup", "time":
	default:
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	return n, err == nil
}

func isNamespace(f *file) bool {
	_, ok := namespaceInode(f)
	return ok
}

// lookNamespace finds the namespace among those that the container's tasks are in.
func lookNamespace(w *walk, f *file) error {
	inode, _ := namespaceInode(f)
	id, ok := w.Namespaces[inode]
	if !ok {
		return f.refuse("namespace "+f.link, "no process of the container is in it, so that its content can't be saved by this version", "close it, or keep a process in it")
	}
	f.Kind = &format.OpenFile_Namespace{Namespace: &format.NamespaceFile{Namespace: id}}
	return nil
}
