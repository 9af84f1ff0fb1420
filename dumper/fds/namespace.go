package fds

import (
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

func isNamespace(f *file) bool {
	_, _, ok := procfs.ParseNamespace(f.link)
	return ok
}

// lookNamespace finds the namespace among those that the container's tasks are in.
func lookNamespace(w *walk, f *file) error {
	_, inode, _ := procfs.ParseNamespace(f.link)
	id, ok := w.Namespaces[inode]
	if !ok {
		return f.refuse("namespace "+f.link, "no process of the container is in it, so that its content can't be saved by this version", "close it, or keep a process in it")
	}
	f.Kind = &format.OpenFile_Namespace{Namespace: &format.NamespaceFile{Namespace: id}}
	return nil
}
