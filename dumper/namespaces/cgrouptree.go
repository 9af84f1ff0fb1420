package namespaces

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/cgroup"
	"lxc-checkpoint/internal/procfs"
)

// Trees looks at all cgroups of the container, in each hierarchy where it has one
// of its own.
func (m *Memberships) Trees(log *slog.Logger) ([]*format.CgroupTree, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts := procfs.ParseCgroupMounts(string(text))
	var trees []*format.CgroupTree
	for controllers, own := range m.own {
		if !slices.Contains(parts(own), m.named) {
			continue // it shares that with others
		}
		dir, version, ok := procfs.CgroupDirectory(mounts, procfs.CgroupPath{Controllers: controllers, Path: own})
		if !ok {
			log.Warn("the container's cgroups in a hierarchy that is not mounted here can't be saved", "hierarchy", controllers, "cgroup", own)
			continue
		}
		t := &treeLook{dir: dir, version: version, CgroupTree: &format.CgroupTree{Controllers: controllers}}
		if err := t.look("/"); err != nil {
			return nil, fmt.Errorf("cgroups below %s: %w", dir, err)
		}
		trees = append(trees, t.CgroupTree)
	}
	sort.Slice(trees, func(i, j int) bool { return trees[i].Controllers < trees[j].Controllers })
	return trees, nil
}

// treeLook is a look at a hierarchy under way.
type treeLook struct {
	*format.CgroupTree
	dir     string // of the container's own cgroup
	version int
}

// look looks at a cgroup and those below it. One that goes meanwhile, by somebody
// outside, is none.
func (t *treeLook) look(at string) error {
	f, err := os.Open(filepath.Join(t.dir, at))
	if err != nil {
		return unlessGone(err)
	}
	defer f.Close()
	g := &format.Cgroup{Path: at}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	inode, err := view.InodeOf(f, &st)
	if err != nil {
		return err
	}
	g.Mode, g.Uid, g.Gid, g.Xattrs = st.Mode, st.Uid, st.Gid, inode.Xattrs
	entries, err := f.ReadDir(-1)
	if err != nil {
		return unlessGone(err)
	}
	t.Cgroups = append(t.Cgroups, g)
	var below []string
	for _, e := range entries {
		if e.IsDir() {
			below = append(below, path.Join(at, e.Name()))
			continue
		}
		file, err := t.file(int(f.Fd()), e.Name(), at == "/")
		if err != nil {
			return fmt.Errorf("%s: %w", path.Join(at, e.Name()), err)
		}
		if file != nil {
			g.Files = append(g.Files, file)
		}
	}
	slices.SortFunc(g.Files, func(a, b *format.CgroupFile) int { return cgroup.Compare(t.version, a.Name, b.Name) })
	slices.Sort(below)
	for _, b := range below {
		if err := t.look(b); err != nil {
			return err
		}
	}
	return nil
}

// file looks at a file of a cgroup; nil: it is root's, and no setting.
func (t *treeLook) file(dir int, name string, own bool) (*format.CgroupFile, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, unlessGone(err)
	}
	f := &format.CgroupFile{Name: name, Mode: st.Mode, Uid: st.Uid, Gid: st.Gid}
	s, _ := cgroup.Find(t.version, name)
	if s != nil && !(own && s.Inner) {
		text, err := readAt(dir, name)
		// Some can't be read in some states, or by nobody: cpuset.cpus of a
		// threaded cgroup, what the kernel was built without.
		f.IsSetting, f.Text = err == nil, bytes.TrimSuffix(text, []byte("\n"))
	}
	if !f.IsSetting && f.Uid == 0 && f.Gid == 0 {
		return nil, nil
	}
	return f, nil
}

func readAt(dir int, name string) ([]byte, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return io.ReadAll(f)
}

func unlessGone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
