package harness

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Namespaces are those that a container of the harness has of its own.
const Namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET

// Tree is a small container made without LXC: a program in namespaces and a
// cgroup of its own.
type Tree struct {
	Dir    string // where the program was started
	Cgroup *Cgroup

	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts a program as the first process of a new container, in a
// session of its own, standard input /dev/null, output in the file "log" of
// dir. It begins only when it is in the cgroup.
func Start(dir string, cgroup *Cgroup, program string, args ...string) (*Tree, error) {
	return StartAs(nil, dir, cgroup, program, args...)
}

// StartAs is Start with a user namespace whose ids have these numbers on the host, of
// which the program is the first one; nil: with none.
func StartAs(ids []syscall.SysProcIDMap, dir string, cgroup *Cgroup, program string, args ...string) (*Tree, error) {
	becomeReaper()
	KeepInherited()
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c := &Tree{Dir: dir, Cgroup: cgroup, ended: make(chan struct{})}
	c.cmd = exec.Command("/bin/sh", append([]string{"-c", `read -r go && exec "$@" </dev/null`, "sh", program}, args...)...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, log, log
	c.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: Namespaces, Setsid: true}
	if len(ids) > 0 {
		a := c.cmd.SysProcAttr
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings, a.GidMappings, a.GidMappingsEnableSetgroups = ids, ids, true
		a.Credential = &syscall.Credential{}
	}
	barrier, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a container: %w", err)
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	if err := cgroup.Add(c.cmd.Process.Pid); err != nil {
		_ = c.cmd.Process.Kill()
		return nil, err
	}
	if _, err := fmt.Fprintln(barrier, "go"); err != nil {
		return nil, err
	}
	return c, nil
}

// KeepInherited sees that descriptors which our own caller has left open do not
// get into containers.
func KeepInherited() { _ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

// What a restart makes is our child when its maker has ended, so that we can
// take its status.
func becomeReaper() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// Alive tells whether a process of the container is left.
func (c *Tree) Alive() bool { return len(c.Cgroup.Processes()) > 0 }

// Move says that the container was restarted in another cgroup.
func (c *Tree) Move(to *Cgroup) { c.Cgroup = to }

// AwaitFile waits for a file in the container's directory and returns what is
// in it. It gives up when the container has ended without it.
func (c *Tree) AwaitFile(name string, d time.Duration) (string, error) {
	text, err := AwaitFile(filepath.Join(c.Dir, name), d, c.Alive)
	if err != nil {
		err = fmt.Errorf("%w%s", err, c.log())
	}
	return text, err
}

// AwaitFile waits for a file and returns what is in it. It gives up when
// whoever makes it is no longer alive.
func AwaitFile(path string, d time.Duration, alive func() bool) (string, error) {
	var text []byte
	var err error
	dead := false
	asked := time.Now()
	found := Wait(d, func() bool {
		if text, err = os.ReadFile(path); err == nil {
			return true
		}
		if dead {
			return true
		}
		if time.Since(asked) > 50*time.Millisecond { // it may cost a process
			dead = !alive() // and once more, for what it wrote last
			asked = time.Now()
		}
		return false
	})
	if err == nil {
		return string(text), nil
	}
	if found {
		return "", fmt.Errorf("it ended without a file %q", filepath.Base(path))
	}
	return "", fmt.Errorf("there is no file %q after %v", filepath.Base(path), Patience(d))
}

// Trigger makes a file in the container's directory.
func (c *Tree) Trigger(name string) error {
	return os.WriteFile(filepath.Join(c.Dir, name), nil, 0o666)
}

func (c *Tree) log() string {
	text, err := os.ReadFile(filepath.Join(c.Dir, "log"))
	if err != nil || len(text) == 0 {
		return ""
	}
	return "; it wrote:\n" + strings.TrimSpace(string(text))
}

// Pids waits until the container's processes are as many as wanted.
func (c *Tree) Pids(n int, d time.Duration) error {
	have := 0
	if Wait(d, func() bool { have = len(c.Cgroup.Processes()); return have == n }) {
		return nil
	}
	return fmt.Errorf("%d processes in %s instead of %d", have, c.Cgroup.Dir, n)
}

// Remove kills the container and removes its cgroups.
func Remove(c *Tree, cgroups ...*Cgroup) error {
	var errs []error
	for _, g := range cgroups {
		errs = append(errs, g.Remove())
	}
	if c != nil {
		select {
		case <-c.ended:
		case <-time.After(Patience(10 * time.Second)):
			errs = append(errs, errors.New("the container's first process is still there"))
		}
	}
	return errors.Join(errs...)
}
