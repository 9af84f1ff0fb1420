package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lxc-checkpoint/internal/procfs"
)

// place is a cgroup in the hierarchy by which it can be frozen.
type place struct {
	mount procfs.CgroupMount
	path  string // from the hierarchy's root, begins with "/"
	dir   string // absolute directory
}

// at returns the place of a cgroup in a mounted hierarchy, false if the mount
// does not show that cgroup.
func at(m procfs.CgroupMount, path string) (place, bool) {
	relative, ok := below(path, m.Root)
	return place{mount: m, path: path, dir: filepath.Join(m.Mountpoint, relative)}, ok
}

// below returns path as seen from root; both are clean and absolute.
func below(path, root string) (string, bool) {
	if root == "/" || path == root {
		return strings.TrimPrefix(path, root), true
	}
	return strings.CutPrefix(path, root+"/")
}

// hierarchies returns where the hierarchies that can freeze are mounted here:
// v1's freezer first, as LXC prefers it where both are, then v2.
func hierarchies() ([]procfs.CgroupMount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	all := procfs.ParseCgroupMounts(string(text))
	var found []procfs.CgroupMount
	for _, m := range all {
		if m.HasController("freezer") {
			found = append(found, m)
		}
	}
	for _, m := range all {
		if m.Version == 2 {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no hierarchy of cgroups that can freeze is mounted here: mount cgroup2 (or v1's freezer) below /sys/fs/cgroup")
	}
	return found, nil
}

// pathIn returns the cgroup of a process in the hierarchy of a mount, "" if
// /proc/PID/cgroup does not name it.
func pathIn(m procfs.CgroupMount, paths []procfs.CgroupPath) string {
	for _, p := range paths {
		if m.Version == 2 && p.Controllers == "" || m.Version == 1 && p.HasController("freezer") {
			return p.Path
		}
	}
	return ""
}

func pathsOf(pid string) ([]procfs.CgroupPath, error) {
	text, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		return nil, err
	}
	return procfs.ParseCgroupPaths(string(text))
}

// placeOf returns the cgroup of a process in the first hierarchy where it is
// in one that can be frozen, which the root can not.
func placeOf(pid int) (place, error) {
	mounts, err := hierarchies()
	if err != nil {
		return place{}, err
	}
	paths, err := pathsOf(fmt.Sprint(pid))
	if err != nil {
		return place{}, err
	}
	hidden := ""
	for _, m := range mounts {
		path := pathIn(m, paths)
		if path == "" || path == "/" {
			continue
		}
		if strings.HasPrefix(path, "/..") {
			hidden = path
			continue
		}
		p, ok := at(m, path)
		if !ok {
			hidden = path
			continue
		}
		if _, err := os.Stat(p.dir); err != nil {
			hidden = path
			continue
		}
		return p, nil
	}
	if hidden != "" {
		return place{}, fmt.Errorf("its cgroup %s is not to be seen below %s: run this in the cgroup and mount namespaces of the host", hidden, mounts[0].Mountpoint)
	}
	return place{}, fmt.Errorf("it is in the root cgroup, which cannot be frozen: make a directory below %s and write its pid into cgroup.procs there", mounts[0].Mountpoint)
}

// limitedBy moves up to the cgroup that LXC said is the container's, if it is
// the place itself or above it. LXC's paths may lack a beginning (that of the
// cgroup which LXC was started in) or be of another hierarchy, so the place
// is cut behind where they match whole parts of it.
func (p place) limitedBy(told []string) place {
	for _, t := range told {
		t = filepath.Clean("/" + t)
		if t == "/" {
			continue
		}
		i := strings.Index(p.path+"/", t+"/")
		if i < 0 {
			continue
		}
		path := p.path[:i+len(t)]
		if q, ok := at(p.mount, path); ok {
			return q
		}
	}
	return p
}

// placeAt returns the place of a cgroup that the user named.
func placeAt(path string) (place, error) {
	mounts, err := hierarchies()
	if err != nil {
		return place{}, err
	}
	if path == "" {
		return place{}, errors.New("the cgroup's path is empty")
	}
	clean := filepath.Clean("/" + path)
	if filepath.IsAbs(path) {
		// A whole path of a directory? The longest mountpoint wins.
		var best place
		inside := false
		for _, m := range mounts {
			rest, ok := below(clean, filepath.Clean(m.Mountpoint))
			if ok && len(m.Mountpoint) > len(best.mount.Mountpoint) {
				inside = true
				best = place{mount: m, path: filepath.Join(m.Root, rest), dir: clean}
			}
		}
		if inside {
			if isDir(best.dir) {
				return best, nil
			}
			return place{}, &NotFoundError{Object: "cgroup " + path}
		}
		if strings.HasPrefix(clean, "/sys/fs/cgroup/") && isDir(clean) {
			return place{}, fmt.Errorf("cgroup %s is in a hierarchy without a freezer: name the one below %s", path, mounts[0].Mountpoint)
		}
	}
	for _, m := range mounts {
		if p, ok := at(m, clean); ok && isDir(p.dir) {
			return p, nil
		}
	}
	return place{}, &NotFoundError{Object: "cgroup " + path, Where: "below " + mounts[0].Mountpoint}
}

func isDir(path string) bool {
	s, err := os.Stat(path)
	return err == nil && s.IsDir()
}

// refuseOurselves returns an error if freezing the place would stop this
// program, or the init that the host depends on.
func (p place) refuseOurselves() error {
	if p.path == "/" {
		return errors.New("the root cgroup holds the whole host and cannot be frozen: name one below it")
	}
	for _, who := range []struct{ pid, name string }{
		{"self", "this command itself: run it from outside"},
		{"1", "the init of this host: name a cgroup that holds only the container"},
	} {
		paths, err := pathsOf(who.pid)
		if err != nil {
			return err
		}
		path := pathIn(p.mount, paths)
		if _, ok := below(path, p.path); ok {
			return fmt.Errorf("the cgroup %s contains %s", p.dir, who.name)
		}
	}
	return nil
}
