package dumper

import (
	"os"
	"path/filepath"

	"lxc-checkpoint/internal/procfs"
)

// lookAtPrograms looks at the BPF programs that are attached to the container's
// cgroups, if it has one of its own in the v2 hierarchy.
func (l *looking) lookAtPrograms() error {
	if filepath.Base(l.cgroup2) != filepath.Base(l.container.CgroupDir) {
		return nil
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	dir, _, ok := procfs.CgroupDirectory(procfs.ParseCgroupMounts(string(text)), procfs.CgroupPath{Path: l.cgroup2})
	if !ok {
		return nil
	}
	refused, err := l.programs.Cgroups(dir)
	l.refuse(refused)
	return err
}
