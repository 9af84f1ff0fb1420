package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/freezer"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/trip"
	"lxc-checkpoint/restorer/namespaces"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/restorer/tasks"
)

// native makes the first process without LXC: a helper in the cgroup clones it
// into new namespaces of the kinds that the container had of its own.
type native struct {
	Need
	cgroup string
	dirs   []string // cgroups that the tasks are in; the first can be frozen
	made   []string // those of them that did not exist before
	helper int
	first  int // the first process, until Begin has made it
}

// NewNative restarts without LXC. cgroup is an absolute directory of a cgroup
// hierarchy, or a path below each; empty: lxc-checkpoint/NAME.
func NewNative(name, cgroup string, n Need) Stage {
	if cgroup == "" {
		if name == "" {
			name = "restart-" + strconv.Itoa(os.Getpid())
		}
		cgroup = "lxc-checkpoint/" + name
	}
	return &native{Need: n, cgroup: cgroup}
}

const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUSER

func (n *native) Begin(ctx context.Context) (*stub.Task, error) {
	if err := n.makeCgroups(); err != nil {
		return nil, err
	}
	if err := trip.At("make the cgroups"); err != nil {
		return nil, err
	}
	pid, err := n.startProgram()
	if err != nil {
		return nil, fmt.Errorf("start the restart's first process: %w", err)
	}
	n.helper = pid
	for _, dir := range n.dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return nil, fmt.Errorf("put process %d into cgroup %s: %w", pid, dir, err)
		}
	}
	if err := trip.At("put the helper into the cgroups"); err != nil {
		return nil, err
	}
	helper, err := n.seize(ctx, pid)
	if err != nil {
		return nil, err
	}
	if err := trip.At("take over the helper"); err != nil {
		return nil, err
	}
	// A sibling of the helper: our own child, with the number that the image
	// wants, 1 in a pid namespace of its own.
	flags := n.Skeleton.Container.CloneFlags &^ unix.CLONE_NEWTIME
	if refused := foreignNamespaces(n.Skeleton); refused != nil {
		return nil, refused
	}
	if other := otherNamespaces(n.Skeleton); other != 0 {
		return nil, fmt.Errorf("the container has a namespace of a kind that a native restart does not make (clone flag %#x)", other)
	}
	// The other namespaces are to belong to it.
	if users := firstUsers(n.Skeleton); users != nil {
		// See lxc.anonymously.
		if err := tasks.LogOut(helper); err != nil {
			n.Log.Warn("the container's tasks will be those of who restarts it, for the audit log", "why", err)
		}
		if err := namespaces.UnshareUsers(n.Skeleton, helper, users); err != nil {
			return nil, err
		}
		flags &^= unix.CLONE_NEWUSER
	}
	if o, err := n.offsets(); err != nil {
		return nil, err
	} else if o != nil {
		if err := unshareTime(helper, o); err != nil {
			return nil, err
		}
	}
	root, err := helper.Fork(flags|unix.CLONE_PARENT, 0, n.Skeleton.Container.RootPid)
	if err != nil {
		return nil, fmt.Errorf("make the container's first process: %w", err)
	}
	n.first = root.PID()
	if err := trip.At("make the first process"); err != nil {
		return nil, err
	}
	if err := helper.Kill(); err != nil {
		return nil, err
	}
	n.helper, n.first = 0, 0
	return root, nil
}

// startProgram starts the stub program; its standard descriptors are
// /dev/null.
func (n *native) startProgram() (int, error) {
	exe, err := n.program()
	if err != nil {
		return 0, err
	}
	defer exe.Close()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	fd := null.Fd()
	return syscall.ForkExec(fmt.Sprintf("/proc/self/fd/%d", exe.Fd()), []string{"lxc-restart"}, &syscall.ProcAttr{
		Dir: "/", Files: []uintptr{fd, fd, fd},
		Sys: &syscall.SysProcAttr{
			// The first process may inherit the session: not ours, whose
			// terminal it would share, unless it is to.
			Setsid: !n.Job,
			// Until it is seized, which has the same effect (PTRACE_O_EXITKILL).
			Pdeathsig: unix.SIGKILL,
		},
	})
}

// makeCgroups finds or makes the tasks' cgroups. The one that can be frozen
// comes first.
func (n *native) makeCgroups() error {
	dirs := []string{n.cgroup}
	if !strings.HasPrefix(n.cgroup, "/") {
		var err error
		if dirs, err = n.underHierarchies(); err != nil {
			return err
		}
	}
	for _, dir := range dirs {
		if err := n.makeCgroup(dir); err != nil {
			return err
		}
	}
	if _, err := freezer.Open(dirs[0]); err != nil {
		return err
	}
	n.dirs = dirs
	return nil
}

// underHierarchies are the directories of that name in the hierarchies that can
// freeze, and in those where the container had cgroups of its own.
func (n *native) underHierarchies() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts := procfs.ParseCgroupMounts(string(text))
	var v1, v2 string
	for _, m := range mounts {
		switch {
		case m.HasController("freezer"):
			v1 = m.Mountpoint
		case m.Version == 2:
			v2 = m.Mountpoint
		}
	}
	var dirs []string
	for _, mount := range []string{v1, v2} {
		if mount != "" {
			dirs = append(dirs, filepath.Join(mount, n.cgroup))
		}
	}
	if len(dirs) == 0 {
		return nil, errors.New("no cgroup hierarchy with a freezer is mounted: mount -t cgroup2 none /sys/fs/cgroup, or name a cgroup with --cgroup")
	}
	for _, t := range n.Skeleton.CgroupTrees {
		dir, _, ok := procfs.CgroupDirectory(mounts, procfs.CgroupPath{Controllers: t.Controllers, Path: filepath.Join("/", n.cgroup)})
		if ok && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

func (n *native) makeCgroup(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		}
		n.made = append(n.made, at)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make cgroup %s: %w", dir, err)
	}
	return n.fillCPUSets(dir)
}

// fillCPUSets gives cpusets of v1 that were made what the one above has: nobody
// gets into an empty one.
func (n *native) fillCPUSets(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "cpuset.effective_cpus")); err != nil {
		return nil // none of v1
	}
	made := slices.DeleteFunc(slices.Clone(n.made), func(m string) bool { return m != dir && !strings.HasPrefix(dir, m+"/") })
	slices.SortFunc(made, func(a, b string) int { return len(a) - len(b) })
	for _, at := range made {
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			text, err := os.ReadFile(filepath.Join(filepath.Dir(at), file))
			if err == nil {
				err = os.WriteFile(filepath.Join(at, file), text, 0)
			}
			if err != nil {
				return fmt.Errorf("fill cpuset %s: %w", at, err)
			}
		}
	}
	return nil
}

func (n *native) Freeze(ctx context.Context, detach func() error) error {
	f, err := freezer.Open(n.dirs[0])
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, n.Timeout)
	defer cancel()
	if err := f.Freeze(short); err != nil {
		return err
	}
	return detach()
}

func (n *native) Running(context.Context) error { return nil }

func (n *native) Undo() error {
	for _, pid := range []int{n.first, n.helper} {
		if pid == 0 {
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			continue
		}
		for deadline := time.Now().Add(n.Timeout); !letEnd(pid) && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
	var first error
	for _, dir := range n.made {
		if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) && first == nil {
			first = fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
	}
	return first
}
