package fds

import (
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// findSocketFile finds the file that the socket was bound to. The address may be
// relative, or one of another root or mount namespace; and the file may have another
// name in that directory by now: many a server binds its socket beside the place
// where clients look for it, and renames or links it when all is ready.
func (w *walk) findSocketFile(f *file, s *format.UnixSocket, d *sys.UnixDiag) {
	type candidate struct {
		root      int
		namespace uint32
		name      string
	}
	var candidates []candidate
	address := string(s.Address)
	for i, h := range f.holders {
		root, namespace := w.rootOfProcess(h.PID)
		if i == 0 {
			s.MountNamespace = namespace
		}
		add := func(name string) {
			if c := (candidate{root, namespace, path.Clean(name)}); path.IsAbs(name) && !slices.Contains(candidates, c) {
				candidates = append(candidates, c)
			}
		}
		add(address)
		for _, base := range []string{"root", "cwd"} {
			if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", h.PID, base)); err == nil {
				add(path.Join(dir, address))
			}
		}
	}
	is := func(st *unix.Stat_t) bool {
		return st.Mode&unix.S_IFMT == unix.S_IFSOCK && uint32(st.Ino) == d.FileInode
	}
	found := func(c candidate, st *unix.Stat_t) {
		s.Path, s.Mode, s.Uid, s.Gid, s.MountNamespace = c.name, st.Mode&0o7777, st.Uid, st.Gid, c.namespace
	}
	for _, c := range candidates {
		if st, err := statIn(c.root, c.name, unix.O_NOFOLLOW); err == nil && is(&st) {
			found(c, &st)
			if st.Nlink > 1 {
				s.Links, _ = othersBeside(c.root, c.name, is)
			}
			return
		}
	}
	for _, c := range candidates {
		if names, st := othersBeside(c.root, c.name, is); len(names) > 0 {
			c.name, s.Links = path.Join(path.Dir(c.name), names[0]), names[1:]
			found(c, st)
			return
		}
	}
}

// othersBeside are the names in the directory of a path, but for its own, of the
// file that is looked for, in order.
func othersBeside(root int, name string, is func(st *unix.Stat_t) bool) (names []string, which *unix.Stat_t) {
	fd, err := unix.Openat2(root, path.Dir(name), &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOATIME | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return nil, nil
	}
	dir := os.NewFile(uintptr(fd), path.Dir(name))
	defer dir.Close()
	entries, _ := dir.Readdirnames(-1)
	slices.Sort(entries)
	for _, e := range entries {
		var st unix.Stat_t
		if e == path.Base(name) || unix.Fstatat(fd, e, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || !is(&st) {
			continue
		}
		names, which = append(names, e), &st
	}
	return names, which
}

// rootOfProcess is the root of the mount namespace that a process is in, and which
// one that is.
func (w *walk) rootOfProcess(pid int) (fd int, namespace uint32) {
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/ns/mnt", pid), &st) == nil {
		id := w.Namespaces[st.Ino]
		for _, n := range w.Nested {
			if n.ID == id {
				return n.FD(), n.ID
			}
		}
	}
	return w.root, 0
}
