package namespaces

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
)

// obstacle is why something can't be saved, and what helps; the empty one: it can.
type obstacle struct{ reason, remedy string }

// lookAtOverlays finds the directories of those overlays that programs have
// mounted. Their options name them, but say not where: a name may count from the
// working directory of whoever mounted it (Docker does so when there are many),
// something else may be mounted there since, or lie there. So the directories that
// are found are compared with what the overlay shows.
func (r *Result) lookAtOverlays(m Mounts) error {
	r.overlays = map[uint32]obstacle{}
	for _, f := range r.FileSystems {
		if f.Fstype != "overlay" || f.Outside || r.isMadeByLXC(f, m) {
			continue
		}
		fd, root, err := r.openTree(f)
		if err != nil {
			return err
		}
		if fd < 0 {
			continue // refused
		}
		found, err := r.findLayers(f, fd, root)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("look for the directories of an overlay: %w", err)
		}
		r.overlays[f.Id] = found
	}
	return nil
}

// isMadeByLXC tells whether LXC mounts a file system from the container's config.
func (r *Result) isMadeByLXC(f *format.FileSystem, m Mounts) bool {
	first := r.firstMounts()
	return first != nil && slices.ContainsFunc(first.Mounts, func(mount *format.Mount) bool {
		return mount.FileSystem == f.Id && m.lxcMakes(mount.Mountpoint)
	})
}

// findLayers looks for them in each mount namespace, the first one first.
func (r *Result) findLayers(f *format.FileSystem, fd int, root string) (obstacle, error) {
	l := f.Layers()
	if len(l.Options) >= os.Getpagesize() {
		return obstacle{"its options are longer than mount(2) takes, so a restart can't mount it again", "unmount it, or mount it with fewer or shorter names of directories"}, nil
	}
	for _, n := range r.order {
		if n.Kind != format.NamespaceKind_MNT || !n.Own {
			continue
		}
		paths := &layerPaths{r: r, n: n, of: f, open: map[uint32]int{}}
		found, err := paths.find(l, fd, root)
		paths.close()
		if err != nil {
			return obstacle{}, err
		}
		if found == "" {
			continue
		}
		f.Overlay = &format.Overlay{MountNamespace: n.Id, Directory: found}
		// Its upper directory knows the lower one by a number that another tmpfs, with the
		// same files, has not (ovl_verify_origin, fs/overlayfs/super.c: ESTALE).
		if on := paths.mountOf(f.Overlay.Path(l.Upper)); l.Index && l.Upper != "" && !r.fileSystem(on.FileSystem).Outside && on.Fstype == "tmpfs" {
			return obstacle{"it has the option index, with which the kernel mounts nothing over a copy of the tmpfs that its upper directory is in", "mount it with index=off,nfs_export=off"}, nil
		}
		return obstacle{}, nil
	}
	remedy := "unmount it, or mount it again with their whole paths"
	return obstacle{fmt.Sprintf("the directories that it is made of (%s) are not found in the container, or have changed under it", strings.Join(l.All(), ", ")), remedy}, nil
}

// layerPaths leads to the directories of an overlay in a mount namespace, past what
// the overlay itself covers there: it may lie on one of them.
type layerPaths struct {
	r    *Result
	n    *object
	of   *format.FileSystem
	open map[uint32]int // mounts of our own, by the number of the one that they show
}

func (p *layerPaths) close() {
	for _, fd := range p.open {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// find is the directory that the names of the layers count from; empty: there is none.
func (p *layerPaths) find(l *format.Layers, merged int, root string) (string, error) {
	for _, base := range p.bases(l) {
		where := &format.Overlay{Directory: base}
		var dirs []int
		ok := true
		for _, name := range where.Paths(l) {
			fd, err := p.directory(name)
			if err != nil {
				return "", err
			}
			if ok = fd >= 0; !ok {
				break
			}
			dirs = append(dirs, fd)
		}
		if ok {
			shown := dirs[:len(l.Lower)] // the others only have data
			if l.Upper != "" {
				shown = dirs[:1+len(l.Lower)]
			}
			ok = isMergedOf(merged, strings.TrimPrefix(root, "/"), shown)
		}
		for _, fd := range dirs {
			unix.Close(fd)
		}
		if ok {
			return base, nil
		}
	}
	return "", nil
}

// bases are the directories that names can count from: those above a path that is
// whole, above a place where the overlay is mounted (Docker and podman work in the
// directory that both lie in), and where processes are.
func (p *layerPaths) bases(l *format.Layers) []string {
	all := []string{"/"}
	if !slices.ContainsFunc(l.All(), func(s string) bool { return !strings.HasPrefix(s, "/") }) {
		return all
	}
	above := func(name string) {
		for ; name != "/" && strings.HasPrefix(name, "/"); name = path.Dir(name) {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	for _, dir := range l.All() {
		above(path.Clean(dir))
	}
	for _, n := range p.r.order {
		for _, m := range n.Mounts {
			if m.FileSystem == p.of.Id {
				above(m.Mountpoint)
			}
		}
	}
	for _, tid := range slices.Sorted(maps.Keys(p.r.sets)) {
		if slices.Contains(p.r.sets[tid].in, p.n.Id) {
			if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", tid)); err == nil {
				above(path.Clean(cwd))
			}
		}
	}
	return all
}

// directory opens one by its path; -1: there is none.
func (p *layerPaths) directory(name string) (int, error) {
	m := p.mountOf(name)
	if m == nil {
		return -1, nil
	}
	at, known := p.open[m.MountId]
	if !known {
		var err error
		if at, err = cloneMount(p.n, m); err == nil && at < 0 {
			at, err = uncover(p.n, m)
		}
		if errors.Is(err, unix.EINVAL) {
			at, err = -1, nil // what came from another user namespace is mounted on it: it can't be cloned
		}
		if err != nil {
			return -1, err
		}
		p.open[m.MountId] = at
	}
	if at < 0 {
		return p.openOn(m, name), nil
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(name, strings.TrimSuffix(m.Mountpoint, "/")), "/")
	fd, err := unix.Openat2(at, path.Join(".", rest), &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOATIME | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, nil
	}
	return fd, nil
}

// openOn opens a directory that is to be seen on a mount; -1: it is covered, or there
// is none.
func (p *layerPaths) openOn(m *format.Mount, name string) int {
	fd := -1
	err := elsewhere.AtRoot(p.n.path(), func(int) (err error) {
		if fd, err = unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOATIME|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		var st unix.Statx_t
		if err = unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err == nil && st.Mnt_id != uint64(m.MountId) {
			err = unix.ENOENT
		}
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	if err != nil {
		return -1
	}
	return fd
}

// mountOf is the mount that a path is on, if the overlay and what is mounted on it
// are left aside.
func (p *layerPaths) mountOf(name string) (best *format.Mount) {
	aside := map[uint32]bool{}
	for _, m := range p.n.Mounts { // parents first
		if aside[m.MountId] = m.FileSystem == p.of.Id || aside[m.ParentId]; aside[m.MountId] {
			continue
		}
		top := strings.TrimSuffix(m.Mountpoint, "/")
		if (name == m.Mountpoint || strings.HasPrefix(name, top+"/")) && (best == nil || len(m.Mountpoint) >= len(best.Mountpoint)) {
			best = m
		}
	}
	return best
}

// isMergedOf tells whether a directory of an overlay is what directories, the topmost
// first, are merged into: it has their names, and of each the file of the topmost.
// name is where it lies in each.
func isMergedOf(merged int, name string, layers []int) bool {
	type file struct {
		unix.Stat_t
		hidden bool
	}
	first, known := false, map[string]file{}
	for _, layer := range layers {
		dir, err := unix.Openat(layer, path.Join(".", name), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NOATIME|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		d := os.NewFile(uintptr(dir), name)
		var st, is unix.Stat_t
		err = errors.Join(unix.Fstat(dir, &st), unix.Fstat(merged, &is))
		if !first && (err != nil || !isShown(&st, &is)) {
			d.Close()
			return false
		}
		first = true
		names, _ := d.Readdirnames(-1) // of a file: none
		for _, base := range names {
			if _, above := known[base]; above {
				continue
			}
			var f file
			if unix.Fstatat(dir, base, &f.Stat_t, unix.AT_SYMLINK_NOFOLLOW) == nil {
				f.hidden = isWhiteout(dir, base, &f.Stat_t)
				known[base] = f
			}
		}
		d.Close()
	}
	shown := 0
	for base, f := range known {
		var is unix.Stat_t
		err := unix.Fstatat(merged, base, &is, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case f.hidden:
			if err == nil {
				return false
			}
		case err != nil || !isShown(&f.Stat_t, &is):
			return false
		default:
			shown++
		}
	}
	return first && shown == count(merged)
}

// isShown tells whether an overlay shows a file of a layer: it has the same
// attributes and times then, the one of the last change (ctime) among them, which
// nobody can set.
func isShown(layer, merged *unix.Stat_t) bool {
	return layer.Mode == merged.Mode && layer.Uid == merged.Uid && layer.Gid == merged.Gid && layer.Ctim == merged.Ctim && layer.Mtim == merged.Mtim
}

// isWhiteout tells whether a file of a layer hides one below it.
func isWhiteout(dir int, name string, st *unix.Stat_t) bool {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return st.Rdev == 0
	case unix.S_IFREG:
		at := fmt.Sprintf("/proc/self/fd/%d/%s", dir, name)
		for _, a := range []string{"trusted.overlay.whiteout", "user.overlay.whiteout"} {
			if _, err := unix.Lgetxattr(at, a, nil); st.Size == 0 && err == nil {
				return true
			}
		}
	}
	return false
}

func count(dir int) int {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOATIME|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0 // a file
	}
	d := os.NewFile(uintptr(fd), "")
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	return len(names)
}
