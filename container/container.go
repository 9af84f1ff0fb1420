// Package container finds a container by name, pid or cgroup: LXC's command
// socket is spoken natively, without liblxc.
package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/freezer"
)

// Container is a tree of processes in a cgroup that can be frozen.
type Container struct {
	Name    string // LXC's name; empty when it was found by cgroup or pid
	LXCPath string // the directory that LXC keeps it in; empty likewise
	Rootfs  string // lxc.rootfs.path as LXC has it, empty if it has none
	// InitPID is the host's pid of its first process.
	InitPID int
	// CloneFlags are the CLONE_NEW* of the namespaces that are its own.
	CloneFlags uint64
	Freezer    freezer.Freezer
	// CgroupDir is the absolute directory whose cgroup.procs, with those of
	// the directories below, list its processes.
	CgroupDir string
	// ConfiguredMounts are the places in the container where LXC mounts what
	// its config says (lxc.mount.entry, lxc.mount.fstab), as absolute paths;
	// nil if that can't be told: without LXC, without a root file system of its
	// own, or if hooks of the config may mount anything.
	ConfiguredMounts []string
	// SeccompProfile: LXC loads a seccomp filter into the container's first
	// process and whatever lxc-attach starts (lxc.seccomp.profile).
	SeccompProfile bool
	// Executed: lxc-execute made it; its first process is LXC's own init,
	// which since LXC 4 is lxc-execute itself: a program of the host, not of
	// the container's root.
	Executed bool

	words string // how the user named it
}

// String names the container in a message: "container c1", "cgroup /x",
// "process 123".
func (c *Container) String() string { return c.words }

// Processes lists the processes (host's pids of thread group leaders) in the
// container's cgroup and those below it, ascending. Zombies are not among
// them, and some that come or go while it reads may be missing.
func (c *Container) Processes() ([]int, error) { return processes(c.CgroupDir) }

func processes(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path != dir && os.IsNotExist(err) {
				return nil // removed while we walked
			}
			return err
		}
		if !d.IsDir() {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		// A threaded cgroup has no list: its domain, above, has the processes.
		if err != nil && (path == dir || !gone(err) && !errors.Is(err, unix.EOPNOTSUPP)) {
			return err
		}
		for word := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return fmt.Errorf("%s/cgroup.procs has a line that is no pid: %q", path, word)
			}
			if pid == 0 {
				return fmt.Errorf("cgroup %s has a process of a pid namespace that we cannot see: run this on the host", path)
			}
			pids = append(pids, pid)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("processes of the cgroup %s: %w", dir, err)
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// NotFoundError says that there is no such container, cgroup or process.
type NotFoundError struct {
	Object string // "container c1"
	Where  string // "in /var/lib/lxc"; may be empty
	Remedy string
}

// IsNotFound tells whether an error is a *NotFoundError.
func IsNotFound(err error) bool {
	missing := (*NotFoundError)(nil)
	return errors.As(err, &missing)
}

func (e *NotFoundError) Error() string {
	s := "there is no " + e.Object
	if e.Where != "" {
		s += " " + e.Where
	}
	if e.Remedy != "" {
		s += ": " + e.Remedy
	}
	return s
}

// NotRunningError says that the container exists and does not run.
type NotRunningError struct {
	Object string
	State  string // "stopped", "stopping"
	Remedy string
}

func (e *NotRunningError) Error() string {
	s := e.Object + " is " + e.State
	if e.Remedy != "" {
		s += ": " + e.Remedy
	}
	return s
}

// ByPID takes the process pid (as the caller sees it) as the root of a tree
// that has its cgroup for itself: the error names processes in that cgroup
// that do not descend from it.
func ByPID(_ context.Context, pid int) (*Container, error) {
	if pid < 1 {
		return nil, fmt.Errorf("process %d: a pid is a number from 1", pid)
	}
	words := fmt.Sprintf("process %d", pid)
	s, err := readStat(pid)
	if err != nil {
		if gone(err) {
			return nil, &NotFoundError{Object: words}
		}
		return nil, fmt.Errorf("%s: %w", words, err)
	}
	if s.state == 'Z' || s.state == 'X' {
		return nil, &NotRunningError{Object: words, State: "dead and only waits for its parent"}
	}
	if leader := threadGroup(pid); leader != pid && leader != 0 {
		return nil, fmt.Errorf("%s is a thread of process %d: name that", words, leader)
	}
	place, err := placeOf(pid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", words, err)
	}
	c, err := fill(&Container{words: words, InitPID: pid}, place)
	if err != nil {
		return nil, err
	}
	roots, err := roots(c.CgroupDir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", words, err)
	}
	if others := slices.DeleteFunc(roots, func(r int) bool { return r == pid }); len(others) > 0 {
		return nil, fmt.Errorf("%s does not have its cgroup %s for itself: %s there is not below it; move it and its children to a cgroup of their own, or use --cgroup",
			words, c.CgroupDir, list(others))
	}
	return c, nil
}

// ByCgroup takes a cgroup, given as an absolute directory or as a path from
// the root of the freezer's hierarchy (of v1 if there is one, else of v2).
func ByCgroup(_ context.Context, path string) (*Container, error) {
	words := "cgroup " + path
	place, err := placeAt(path)
	if err != nil {
		return nil, err
	}
	c, err := fill(&Container{words: words}, place)
	if err != nil {
		return nil, err
	}
	roots, err := roots(c.CgroupDir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", words, err)
	}
	switch len(roots) {
	case 0:
		return nil, &NotRunningError{Object: words, State: "empty", Remedy: "there is no process in it to checkpoint"}
	case 1:
		c.InitPID = roots[0]
	default:
		// The init of a pid namespace adopts, so what else has its parent
		// outside was put in by somebody: the dumper refuses that by name.
		inits := slices.DeleteFunc(slices.Clone(roots), func(pid int) bool { return !isNamespaceInit(pid) })
		if len(inits) != 1 {
			return nil, fmt.Errorf("%s has several trees of processes (%s have parents outside it) and a checkpoint takes one: put each tree into its own cgroup",
				words, list(roots))
		}
		c.InitPID = inits[0]
	}
	c.CloneFlags = ownNamespaces(c.InitPID)
	return c, nil
}

// fill completes a container that was found in a cgroup.
func fill(c *Container, p place) (*Container, error) {
	if err := p.refuseOurselves(); err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	var err error
	if c.Freezer, err = freezer.Open(p.dir); err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	c.CgroupDir = p.dir
	if c.InitPID != 0 && c.CloneFlags == 0 {
		c.CloneFlags = ownNamespaces(c.InitPID)
	}
	return c, nil
}

func list(pids []int) string {
	var words []string
	for i, pid := range pids {
		if i == 5 {
			words = append(words, fmt.Sprintf("and %d more", len(pids)-i))
			break
		}
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		words = append(words, fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(comm))))
	}
	return strings.Join(words, ", ")
}
