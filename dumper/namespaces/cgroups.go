package namespaces

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// CgroupTree lists the cgroups below the container's own ones, parents before
// their children: also those that no process is in, which a manager keeps (a
// slice of systemd's). own are the container's by hierarchy, as Cgroups finds
// them; name is the last part of their path. In a hierarchy in which the
// container has none of its own, there is nothing to list.
func CgroupTree(name string, own map[string]string) ([]*format.Cgroup, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts := procfs.ParseCgroupMounts(string(text))
	var all []*format.Cgroup
	for controllers, path := range own {
		if filepath.Base(path) != name {
			continue
		}
		dir, ok := procfs.CgroupDirectory(mounts, controllers, path)
		if !ok {
			continue
		}
		err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() || at == dir {
				return err
			}
			var st unix.Stat_t
			if err := unix.Lstat(at, &st); err != nil {
				return &os.PathError{Op: "stat", Path: at, Err: err}
			}
			all = append(all, &format.Cgroup{
				Controllers: controllers, Path: strings.TrimPrefix(at, dir),
				Mode: st.Mode & 0o7777, Uid: st.Uid, Gid: st.Gid,
			})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
