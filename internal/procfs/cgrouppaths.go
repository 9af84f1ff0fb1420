package procfs

import (
	"fmt"
	"path"
	"strings"
)

// CgroupPath is a line of /proc/PID/cgroup (cgroups(7)): the cgroup of a
// process in one hierarchy.
type CgroupPath struct {
	Controllers string // "" for v2, else "freezer", "cpu,cpuacct", "name=systemd"
	Path        string // from the root of the reader's cgroup namespace, begins with "/"
}

// HasController tells whether the line is of the v1 hierarchy that has the
// controller.
func (c CgroupPath) HasController(name string) bool {
	return hasOption(c.Controllers, name)
}

// ParseCgroupPaths parses the text of /proc/PID/cgroup.
func ParseCgroupPaths(text string) ([]CgroupPath, error) {
	var paths []CgroupPath
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 || !strings.HasPrefix(fields[2], "/") {
			return nil, fmt.Errorf("a line of /proc/PID/cgroup is not as cgroups(7) has it: %q", line)
		}
		// A cgroup that was removed while a zombie is in it has this at its end.
		path := strings.TrimSuffix(fields[2], " (deleted)")
		paths = append(paths, CgroupPath{Controllers: fields[1], Path: path})
	}
	return paths, nil
}

// CgroupMount is where a hierarchy of cgroups is mounted.
type CgroupMount struct {
	Version    int    // 1 or 2
	Options    string // v1: "rw,freezer", "rw,cpu,cpuacct", "rw,name=systemd"
	Root       string // which cgroup it shows at Mountpoint, as CgroupPath.Path
	Mountpoint string
}

// HasController tells whether it is the mount of the v1 hierarchy that has
// the controller.
func (m CgroupMount) HasController(name string) bool {
	return m.Version == 1 && hasOption(m.Options, name)
}

// ParseCgroupMounts picks the mounts of cgroups out of the text of
// /proc/PID/mountinfo (proc_pid_mountinfo(5)). Lines that it does not
// understand are no mounts of cgroups.
func ParseCgroupMounts(mountinfo string) []CgroupMount {
	var mounts []CgroupMount
	for line := range strings.Lines(mountinfo) {
		left, right, found := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !found || len(l) < 6 || len(r) < 3 {
			continue
		}
		m := CgroupMount{Options: r[2], Root: unescapeMount(l[3]), Mountpoint: unescapeMount(l[4])}
		switch r[0] {
		case "cgroup":
			m.Version = 1
		case "cgroup2":
			m.Version = 2
		default:
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts
}

func hasOption(list, name string) bool {
	for option := range strings.SplitSeq(list, ",") {
		if option == name {
			return true
		}
	}
	return false
}

// unescapeMount undoes the octal escapes that mountinfo uses for blank, tab,
// newline and backslash (seq_path_root, fs/proc_namespace.c).
func unescapeMount(s string) string {
	return mountEscapes.Replace(s)
}

var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#")

// CgroupDirectory finds the directory of a cgroup below one of the mounts, and
// the version of its hierarchy; false if no mount shows it.
func CgroupDirectory(mounts []CgroupMount, c CgroupPath) (dir string, version int, ok bool) {
	first, _, _ := strings.Cut(c.Controllers, ",")
	for _, m := range mounts {
		if first == "" && m.Version != 2 || first != "" && !m.HasController(first) {
			continue
		}
		root := strings.TrimSuffix(m.Root, "/")
		rest, below := strings.CutPrefix(c.Path, root)
		if below && (rest == "" || rest[0] == '/') {
			return path.Join(m.Mountpoint, rest), m.Version, true
		}
	}
	return "", 0, false
}
