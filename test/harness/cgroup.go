package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lxc-checkpoint/internal/need"
)

// Cgroup is a directory of a hierarchy that can freeze.
type Cgroup struct{ Dir string }

// Everything that tests make lies below this name in a hierarchy.
const ours = "lxc-checkpoint-test"

// NewCgroup makes one in a mounted hierarchy.
func NewCgroup(hierarchy, name string) (*Cgroup, error) {
	c := &Cgroup{filepath.Join(hierarchy, ours, fmt.Sprintf("%s.%d", name, os.Getpid()))}
	// Another test process may just be removing the directory that all share.
	for range 10 {
		err := os.MkdirAll(c.Dir, 0o755)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("cgroup %s can't be made", c.Dir)
}

func (c *Cgroup) isV1() bool {
	_, err := os.Stat(filepath.Join(c.Dir, "freezer.state"))
	return err == nil
}

// Add moves a process into it.
func (c *Cgroup) Add(pid int) error {
	return os.WriteFile(filepath.Join(c.Dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// Processes lists the processes in it and below it.
func (c *Cgroup) Processes() []int {
	var pids []int
	_ = filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			text, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			for word := range strings.FieldsSeq(string(text)) {
				if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
		}
		return nil
	})
	return pids
}

// Frozen tells whether it stands frozen.
func (c *Cgroup) Frozen() bool {
	if c.isV1() {
		text, _ := os.ReadFile(filepath.Join(c.Dir, "freezer.state"))
		return strings.TrimSpace(string(text)) == "FROZEN"
	}
	text, _ := os.ReadFile(filepath.Join(c.Dir, "cgroup.events"))
	return strings.Contains(string(text), "frozen 1")
}

// Freeze freezes or thaws it and waits until that is so.
func (c *Cgroup) Freeze(on bool) error {
	file, text := "cgroup.freeze", "0"
	if on {
		text = "1"
	}
	if c.isV1() {
		file, text = "freezer.state", "THAWED"
		if on {
			text = "FROZEN"
		}
	}
	if err := os.WriteFile(filepath.Join(c.Dir, file), []byte(text), 0); err != nil {
		return err
	}
	if !Wait(10*time.Second, func() bool { return c.Frozen() == on }) {
		return fmt.Errorf("%s: it does not become %s", c.Dir, text)
	}
	return nil
}

// Remove kills what is in it and removes it.
func (c *Cgroup) Remove() error {
	if _, err := os.Stat(c.Dir); err != nil {
		return nil
	}
	_ = c.Freeze(false)
	for _, dir := range c.dirs() {
		_ = (&Cgroup{dir}).Freeze(false) // a program may have frozen it
	}
	gone := Wait(20*time.Second, func() bool {
		pids := c.Processes()
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			reap(pid)
		}
		return len(pids) == 0
	})
	if !gone {
		return fmt.Errorf("cgroup %s: processes %v can't be killed", c.Dir, c.Processes())
	}
	dirs := c.dirs()
	var last error
	for i := len(dirs) - 1; i >= 0; i-- {
		// A process that has just been killed may still count.
		if !Wait(5*time.Second, func() bool { last = syscall.Rmdir(dirs[i]); return last == nil || errors.Is(last, syscall.ENOENT) }) {
			return fmt.Errorf("remove cgroup %s: %w", dirs[i], last)
		}
	}
	_ = syscall.Rmdir(filepath.Dir(c.Dir)) // the last one of all
	return nil
}

// reap takes a dead child that a restart left us.
func reap(pid int) {
	var s syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &s, syscall.WNOHANG, nil)
}

// Leftovers lists what tests of this process left behind.
func Leftovers() []string {
	var left []string
	for _, hierarchy := range need.Freezers() {
		found, _ := filepath.Glob(filepath.Join(hierarchy, ours, fmt.Sprintf("*.%d", os.Getpid())))
		left = append(left, found...)
	}
	return left
}

// dirs are its directory and those below, parents first.
func (c *Cgroup) dirs() (dirs []string) {
	_ = filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
