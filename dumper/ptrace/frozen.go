package ptrace

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// frozenBelow refuses a container some of whose processes are in a cgroup that
// was frozen by itself, below the container's own (systemctl freeze): they would
// not run what the look asks of them.
func (h *Held) frozenBelow() error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	paths, err := procfs.ReadCgroupPaths(h.container.InitPID)
	if err != nil {
		return err
	}
	mounts := procfs.ParseCgroupMounts(string(text))
	name := "/" + filepath.Base(h.container.CgroupDir)
	for _, p := range paths {
		if p.Controllers != "" && !p.HasController("freezer") {
			continue
		}
		i := strings.Index(p.Path+"/", name+"/")
		if i < 0 {
			continue // it has none of its own there
		}
		p.Path = p.Path[:i+len(name)]
		if dir, _, ok := procfs.CgroupDirectory(mounts, p); ok {
			if err := refuseFrozen(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuseFrozen refuses if there is a process in a frozen cgroup below one.
func refuseFrozen(own string) error {
	frozen := map[string]bool{}
	return filepath.WalkDir(own, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || dir == own {
			return nil // somebody may remove them meanwhile
		}
		if frozen[dir] = frozen[filepath.Dir(dir)] || is(dir, "cgroup.freeze") || is(dir, "freezer.self_freezing"); !frozen[dir] {
			return nil
		}
		for _, file := range []string{"cgroup.threads", "tasks"} {
			if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || len(text) == 0 {
				continue
			}
			return &refusal.Refusal{
				Object: "cgroup " + strings.TrimPrefix(dir, own), Kind: "frozen cgroup",
				Reason: "it was frozen by itself, below the container's own, with processes in it, which can't be looked at so",
				Remedy: fmt.Sprintf("thaw it (systemctl thaw, or what froze it; on the host: %s), and freeze it again later", thawing(dir)),
			}
		}
		return nil
	})
}

func is(dir, file string) bool {
	text, err := os.ReadFile(filepath.Join(dir, file))
	return err == nil && strings.TrimSpace(string(text)) == "1"
}

func thawing(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, "freezer.state")); err == nil {
		return "echo THAWED >" + filepath.Join(dir, "freezer.state")
	}
	return "echo 0 >" + filepath.Join(dir, "cgroup.freeze")
}
