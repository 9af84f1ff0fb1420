package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultLXCPath is the directory of this host's containers: lxc.lxcpath of
// /etc/lxc/lxc.conf, or else /var/lib/lxc.
func DefaultLXCPath() string {
	text, _ := os.ReadFile("/etc/lxc/lxc.conf")
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(line, "=")
		if found && strings.TrimSpace(key) == "lxc.lxcpath" {
			if value = strings.TrimSpace(value); value != "" {
				return trimSlashes(value)
			}
		}
	}
	return "/var/lib/lxc"
}

// trimSlashes removes slashes at the end, as LXC does with its -P: the rest
// of the path is part of the socket's name as it was typed.
func trimSlashes(path string) string {
	for len(path) > 1 && strings.HasSuffix(path, "/") {
		path = path[:len(path)-1]
	}
	return path
}

// resolve checks the name and completes the path.
func resolve(name, lxcpath string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("the container's name is empty")
	case strings.Contains(name, "/"), name == ".", name == "..", len(name) > 255:
		return "", fmt.Errorf("%q cannot be the name of a container: LXC keeps it in a directory of that name", name)
	case lxcpath == "":
		return DefaultLXCPath(), nil
	}
	return trimSlashes(lxcpath), nil
}

// RunningNames lists the containers below lxcpath (empty: the host's default) that
// run, frozen or not, by their names.
func RunningNames(ctx context.Context, lxcpath string) (names []string, err error) {
	if lxcpath == "" {
		lxcpath = DefaultLXCPath()
	}
	entries, err := os.ReadDir(lxcpath)
	if err != nil {
		return nil, fmt.Errorf("list the containers: %w", err)
	}
	for _, e := range entries {
		if exists(e.Name(), lxcpath) != nil {
			continue
		}
		state, _, err := Query(ctx, e.Name(), lxcpath)
		if err != nil {
			return nil, err
		}
		if state != Stopped {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// exists returns a *NotFoundError if there is no container of that name.
func exists(name, lxcpath string) error {
	_, err := os.Stat(filepath.Join(lxcpath, name, "config"))
	switch {
	case err == nil:
		return nil
	case gone(err):
		return &NotFoundError{Object: "container " + name, Where: "in " + lxcpath, Remedy: "lxc-ls shows those there are; -P names another directory"}
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("container %s: %w: become root", name, err)
	}
	return fmt.Errorf("container %s: %w", name, err)
}

// ByName finds the running LXC container NAME below lxcpath (empty: the
// host's default, see DefaultLXCPath). One that is just starting is waited
// for until ctx ends. It returns a *NotFoundError or a *NotRunningError where
// that is the matter.
func ByName(ctx context.Context, name, lxcpath string) (*Container, error) {
	lxcpath, err := resolve(name, lxcpath)
	if err != nil {
		return nil, err
	}
	words := "container " + name
	pid, err := running(ctx, name, lxcpath)
	if err != nil {
		return nil, err
	}
	c := &Container{Name: name, LXCPath: lxcpath, InitPID: pid, words: words}
	if flags, err := command(ctx, name, lxcpath, cmdGetCloneFlags, 0, ""); err == nil {
		c.CloneFlags = flags.number & namespaceFlags
	}
	if item, err := command(ctx, name, lxcpath, cmdGetConfigItem, 0, "lxc.rootfs.path\x00"); err == nil {
		c.Rootfs = item.word()
	}
	profile, ok := c.configItem(ctx, "lxc.seccomp.profile")
	c.SeccompProfile = ok && profile != ""
	c.ConfiguredMounts = c.configuredMounts(ctx)
	c.Executed = isLXCInit(pid)
	// The cgroup that limits the container may lie above the one that its
	// first process is in: systemd moves itself down, and LXC has
	// lxc.cgroup.dir.container.inner.
	var told []string
	for _, number := range []int32{cmdGetLimitCgroup, cmdGetCgroup} {
		for _, hierarchy := range []string{"freezer\x00", ""} {
			if path, err := command(ctx, name, lxcpath, number, 0, hierarchy); err == nil && path.word() != "" {
				told = append(told, path.word())
			}
		}
	}
	p, err := placeOf(pid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", words, err)
	}
	return fill(c, p.limitedBy(told))
}

// running waits until the container runs (frozen or not) and returns the pid
// of its first process.
func running(ctx context.Context, name, lxcpath string) (int, error) {
	words := "container " + name
	for {
		state, pid, err := Query(ctx, name, lxcpath)
		if err != nil {
			return 0, err
		}
		switch state {
		case Running, Freezing, Frozen, Thawed:
			if pid > 0 {
				return pid, nil
			}
			return 0, fmt.Errorf("%s: LXC's monitor cannot tell the pid of its first process", words)
		case Starting:
		case Stopped:
			return 0, &NotRunningError{Object: words, State: "stopped", Remedy: "start it (lxc-start -n " + name + ")"}
		default:
			return 0, &NotRunningError{Object: words, State: strings.ToLower(state.String())}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s is still starting: try again when it runs: %w", words, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// isLXCInit tells whether a process is the small init that lxc-execute puts
// into the container: an executable of its own up to LXC 3 (init.lxc,
// init.lxc.static, once lxc-init); since LXC 4 a fork of lxc-execute itself,
// whose executable and libraries lie outside the container's root.
func isLXCInit(pid int) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return false
	}
	switch filepath.Base(strings.TrimSuffix(exe, " (deleted)")) {
	case "lxc-execute", "init.lxc", "init.lxc.static", "lxc-init":
		return true
	}
	return false
}

// gone tells whether an error means that a process, file or cgroup is no more.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOTDIR)
}

// AwaitStopped waits until LXC's monitor has noticed that the container's
// processes have ended, and has cleaned up and ended itself; until ctx ends at
// the latest. Without LXC there is nothing to wait for.
func (c *Container) AwaitStopped(ctx context.Context) error {
	if c.Name == "" {
		return nil
	}
	for {
		state, _, err := Query(ctx, c.Name, c.LXCPath)
		if err != nil || state == Stopped {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was killed, but LXC's monitor still calls it %s: %w", c, state, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}
