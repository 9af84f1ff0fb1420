package namespaces

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// cgroups are the container's, below those that the stage has put its first
// process into.
//
// They are made in three steps. First the directories, since mounts,
// descriptors and watches need them, with the settings of v1, which wants a
// cpuset filled before anybody is in it. Then, when all processes and threads are
// there, each enters its own; and only then v2 gets its controllers and settings,
// since it enables no controller for what is below a cgroup with processes in it.
// Last, when nothing more has to run, those are frozen that programs had frozen.
type cgroups struct {
	skeleton *format.Skeleton
	log      *slog.Logger
	own      []ownCgroup
	made     []string // directories, parents first
	changed  []changed
	trees    []*cgroupTree
}

// ownCgroup is the container's own cgroup in a hierarchy.
type ownCgroup struct {
	controllers string
	dir         string
	version     int
}

// findOwn finds the container's own cgroups. One that the restart itself is in,
// too, is not the container's.
func (c *cgroups) findOwn(pid int) error {
	its, err := procfs.ReadCgroupPaths(pid)
	if err != nil {
		return err
	}
	ours, err := procfs.ReadCgroupPaths(os.Getpid())
	if err != nil {
		return err
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	mounts := procfs.ParseCgroupMounts(string(text))
	for _, g := range its {
		if slices.Contains(ours, g) || g.Path == "/" {
			continue
		}
		if dir, version, ok := procfs.CgroupDirectory(mounts, g); ok {
			c.own = append(c.own, ownCgroup{g.Controllers, dir, version})
		}
	}
	return nil
}

// find finds the container's own cgroup in a hierarchy; nil: it has none.
func (c *cgroups) find(controllers string) *ownCgroup {
	for i := range c.own {
		if c.own[i].controllers == controllers {
			return &c.own[i]
		}
	}
	return nil
}

// makeCgroups makes the directories of all cgroups.
func makeCgroups(s *format.Skeleton, root place.Process, log *slog.Logger) (_ *cgroups, err error) {
	c := &cgroups{skeleton: s, log: log}
	if err := c.findOwn(root.PID()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.undo()
		}
	}()
	for _, t := range s.CgroupTrees {
		own := c.find(t.Controllers)
		if own == nil {
			log.Warn("the container had cgroups in a hierarchy where it has none now: with --native, a --cgroup that does not begin with / names one in each", "hierarchy", nameOf(t.Controllers), "cgroups", len(t.Cgroups))
			continue
		}
		tree := &cgroupTree{cgroups: c, ownCgroup: own, image: t}
		c.trees = append(c.trees, tree)
		if err := tree.makeDirectories(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func nameOf(controllers string) string {
	if controllers == "" {
		return "v2"
	}
	return controllers
}

// join puts a process into its cgroups.
func (c *cgroups) join(pid int, memberships []*format.CgroupMembership) error {
	return c.write(pid, memberships, func(int) string { return "cgroup.procs" })
}

// joinThread puts a single thread into its cgroups.
func (c *cgroups) joinThread(tid int, memberships []*format.CgroupMembership) error {
	return c.write(tid, memberships, func(version int) string {
		if version == 1 {
			return "tasks"
		}
		return "cgroup.threads"
	})
}

func (c *cgroups) write(id int, memberships []*format.CgroupMembership, file func(version int) string) error {
	for _, m := range memberships {
		own := c.find(m.Controllers)
		if own == nil {
			if m.Path == "/" {
				continue
			}
			return fmt.Errorf("task %d was in cgroup %s of hierarchy %s, where the container has no cgroup of its own now: mount that hierarchy; with --native, name a --cgroup that does not begin with /", id, m.Path, nameOf(m.Controllers))
		}
		dir := filepath.Join(own.dir, filepath.Join("/", m.Path))
		if err := c.makeDirectory(dir); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file(own.version)), []byte(strconv.Itoa(id)), 0); err != nil {
			return fmt.Errorf("put task %d into its cgroup: %w", id, err)
		}
	}
	return nil
}

// makeDirectory makes a cgroup; those above it are there.
func (c *cgroups) makeDirectory(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	c.made = append(c.made, dir)
	return nil
}

// EnterCgroup2 puts a process into a cgroup of the v2 hierarchy. Without one of
// the container's own it stays where it is.
func (r *Root) EnterCgroup2(p place.Process, path string) error {
	if r.cgroups.find("") == nil {
		return nil
	}
	return r.cgroups.join(p.PID(), []*format.CgroupMembership{{Path: path}})
}

// Cgroup2 is the directory of a cgroup of the v2 hierarchy below the container's
// own, which is made if it is not there.
func (r *Root) Cgroup2(path string) (string, error) {
	own := r.cgroups.find("")
	if own == nil {
		return "", errors.New("the container has no cgroup of its own in the v2 hierarchy here, where programs would be the whole host's: mount that (mount -t cgroup2 none /sys/fs/cgroup/unified); with --native, name a --cgroup that does not begin with /, or one of that hierarchy")
	}
	dir := filepath.Join(own.dir, filepath.Join("/", path))
	return dir, r.cgroups.makeDirectory(dir)
}

// TellCgroups2 has the kernel tell those who watch cgroup.events of the container's
// cgroups of v2 that it has changed, by a freeze and a thaw. Nothing runs yet:
// stopped tasks count as frozen.
func (r *Root) TellCgroups2() error {
	dir, err := r.Cgroup2("")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "cgroup.freeze")
	was, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, text := range []string{"1", "0", string(was)} {
		if err := os.WriteFile(file, []byte(text), 0); err != nil {
			return fmt.Errorf("freeze and thaw cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// EnterCgroups puts all tasks into their cgroups, and sets what can be set only
// then. numbers are the host's, by the image's.
func (r *Root) EnterCgroups(numbers map[uint32]int) error {
	c := r.cgroups
	for _, p := range r.skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			continue
		}
		if err := c.join(numbers[p.Pid], p.Cgroups); err != nil {
			return err
		}
	}
	for _, t := range c.trees {
		if err := t.complete(); err != nil {
			return err
		}
	}
	return r.EnterThreadCgroups(numbers)
}

// EnterThreadCgroups puts threads into those cgroups that are not their
// processes'.
func (r *Root) EnterThreadCgroups(numbers map[uint32]int) error {
	for _, p := range r.skeleton.Processes {
		for _, k := range p.Tasks {
			if id, ok := numbers[k.Tid]; ok && len(k.Cgroups) > 0 {
				if err := r.cgroups.joinThread(id, k.Cgroups); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// FreezeCgroups freezes those that programs of the container had frozen.
func (r *Root) FreezeCgroups() {
	for _, t := range r.cgroups.trees {
		t.setLast()
	}
}

// UndoCgroups removes the cgroups that were made, when nobody is in them any
// more, and sets back what was set in those that had been there.
func (r *Root) UndoCgroups() { r.cgroups.undo() }

func (c *cgroups) undo() {
	for _, dir := range slices.Backward(c.made) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.log.Warn("a cgroup could not be removed", "why", err)
		}
	}
	for _, w := range slices.Backward(c.changed) {
		w.undo(c.log)
	}
	c.made, c.changed = nil, nil
}
