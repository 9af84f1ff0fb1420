package namespaces

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/cgroup"
)

// cgroupTree are the container's cgroups in a hierarchy.
type cgroupTree struct {
	*cgroups
	*ownCgroup
	image *format.CgroupTree
}

// changed is a file of a cgroup that was there before, which was set.
type changed struct {
	dir, file string
	setting   *cgroup.Setting
	version   int
	before    string
}

func (t *cgroupTree) path(g *format.Cgroup) string { return filepath.Join(t.dir, g.Path) }

// makeDirectories makes all cgroups, with owners, modes and extended attributes.
func (t *cgroupTree) makeDirectories() error {
	for _, g := range t.image.Cgroups {
		if err := t.makeDirectory(t.path(g)); err != nil {
			return err
		}
		if err := t.dress(g); err != nil {
			return fmt.Errorf("cgroup %s: %w", t.path(g), err)
		}
		if t.version == 1 {
			if err := t.set(g, anything); err != nil {
				return err
			}
		} else if err := t.set(g, isType); err != nil {
			return err
		}
	}
	return nil
}

// complete sets what v2 lets be set only when the tasks have left the cgroups
// above theirs.
func (t *cgroupTree) complete() error {
	if t.version == 1 {
		return nil
	}
	// Its controllers bring a cgroup the files for their settings.
	for _, g := range t.image.Cgroups {
		if err := t.set(g, anything); err != nil {
			return err
		}
	}
	return nil
}

func anything(string) bool    { return true }
func isType(file string) bool { return file == "cgroup.type" }

// dress gives a directory its owner, mode and extended attributes.
func (t *cgroupTree) dress(g *format.Cgroup) error {
	dir := t.path(g)
	if err := giveTo(dir, g.Uid, g.Gid, g.Mode); err != nil {
		return err
	}
	for _, x := range g.Xattrs {
		err := unix.Setxattr(dir, x.Name, x.Value, 0)
		if errors.Is(err, unix.EOPNOTSUPP) {
			t.log.Warn("an extended attribute of a cgroup is lost: this kernel has none of its kind", "cgroup", dir, "attribute", x.Name)
			continue
		}
		if err != nil {
			return fmt.Errorf("extended attribute %s: %w", x.Name, err)
		}
	}
	return nil
}

// giveTo gives a file or directory its owner and mode, if it has others.
func giveTo(path string, uid, gid, mode uint32) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if st.Uid != uid || st.Gid != gid {
		if err := unix.Lchown(path, int(uid), int(gid)); err != nil {
			return fmt.Errorf("owner: %w", err)
		}
	}
	if (st.Mode^mode)&0o7777 != 0 {
		if err := unix.Chmod(path, mode&0o7777); err != nil {
			return fmt.Errorf("mode: %w", err)
		}
	}
	return nil
}

// set gives files of a cgroup their text, owner and mode. What can't be set is
// tried again after the others, since some bound each other (memory and swap,
// period and quota); what can't then is named, and lost.
func (t *cgroupTree) set(g *format.Cgroup, which func(file string) bool) error {
	var again []*format.CgroupFile
	for _, f := range g.Files {
		if !which(f.Name) {
			continue
		}
		if !t.try(g, f, false) {
			again = append(again, f)
		}
		err := giveTo(filepath.Join(t.path(g), f.Name), f.Uid, f.Gid, f.Mode)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("file %s of cgroup %s: %w", f.Name, t.path(g), err)
		}
	}
	for _, f := range again {
		t.try(g, f, true)
	}
	return nil
}

// try sets a file, unless that comes last. complain: a failure is told.
func (t *cgroupTree) try(g *format.Cgroup, f *format.CgroupFile, complain bool) bool {
	s, _ := cgroup.Find(t.version, f.Name)
	if !f.IsSetting || s == nil || s.Last || s.Inner && g.Path == "/" {
		return true
	}
	dir := t.path(g)
	now, err := readSetting(dir, f.Name)
	want := string(f.Text)
	if err == nil {
		writes := s.Writes(f.Name, now, want)
		if len(writes) == 0 {
			return true
		}
		t.changed = append(t.changed, changed{dir, f.Name, s, t.version, now})
		err = writeAll(dir, writes)
	}
	if err != nil && complain {
		t.log.Warn("a setting of a cgroup is lost", "cgroup", dir, "file", f.Name, "was", want, "is", now, "why", err)
	}
	return err == nil
}

// setLast freezes what was frozen.
func (t *cgroupTree) setLast() {
	for _, g := range t.image.Cgroups {
		for _, f := range g.Files {
			s, _ := cgroup.Find(t.version, f.Name)
			if s == nil || !s.Last || g.Path == "/" {
				continue
			}
			now, err := readSetting(t.path(g), f.Name)
			if err == nil {
				err = writeAll(t.path(g), s.Writes(f.Name, now, string(f.Text)))
			}
			if err != nil {
				t.log.Warn("a cgroup could not be frozen as it was", "cgroup", t.path(g), "why", err)
			}
		}
	}
}

func readSetting(dir, file string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	return strings.TrimSuffix(string(text), "\n"), err
}

// writeAll writes all, and returns the first error.
func writeAll(dir string, writes []cgroup.Write) error {
	var first error
	for _, w := range writes {
		// A file of a cgroup is never made, and an empty text is one, too.
		f, err := os.OpenFile(filepath.Join(dir, w.File), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(w.Text + "\n")
			f.Close()
		}
		if err != nil && first == nil {
			first = err
		}
	}
	return first
}

// undo sets the file back, unless its cgroup is gone.
func (c changed) undo(log *slog.Logger) {
	now, err := readSetting(c.dir, c.file)
	if err == nil {
		err = writeAll(c.dir, c.setting.Writes(c.file, now, c.before))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("a setting of a cgroup could not be set back", "cgroup", c.dir, "file", c.file, "why", err)
	}
}
