package stage

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
)

// cgroups lists the cgroups that LXC has made for the container of our name, or
// left: beside the first process of the host.
func (l *lxc) cgroups() []string {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	mounts := procfs.ParseCgroupMounts(string(text))
	paths, err := procfs.ReadCgroupPaths(1)
	if err != nil {
		return nil
	}
	var found []string
	for _, p := range paths {
		p.Path = filepath.Join("/", strings.TrimSuffix(p.Path, "/init.scope"))
		dir, _, ok := procfs.CgroupDirectory(mounts, p)
		if !ok {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if name := e.Name(); name == "lxc.pivot" || isOf(name, "lxc.monitor."+l.name) || isOf(name, "lxc.payload."+l.name) {
				found = append(found, filepath.Join(dir, name))
			}
		}
	}
	return found
}

// isOf tells whether a cgroup's name is that, or that with a number, which LXC
// gives it where the name is taken.
func isOf(name, of string) bool {
	rest, ok := strings.CutPrefix(name, of)
	return ok && (rest == "" || rest[0] == '-' && strings.Trim(rest[1:], "0123456789") == "")
}

// removeCgroups removes those that were not there before, and in which nobody is.
// LXC 5.0.2 leaves that of its monitor when a start fails: it tries to remove it
// while the kernel still counts somebody in it (EBUSY).
func (l *lxc) removeCgroups() (left bool) {
	for _, top := range l.cgroups() {
		if slices.Contains(l.before, top) {
			continue
		}
		var dirs []string
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			if err := unix.Rmdir(dir); err != nil {
				left = true
			}
		}
	}
	return left
}
