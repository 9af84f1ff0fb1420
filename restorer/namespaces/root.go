// Package namespaces finishes the surroundings of a container's first process,
// whichever stage made it: names, directories, cgroups, its terminal.
package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// Root is the container's root directory, held open from before any process
// changes its own.
type Root struct {
	fd          int
	directories map[string]int
	cgroups     []procfs.CgroupPath // of the first process, as the stage put it
	mounts      []procfs.CgroupMount
}

// Enter sets what the namespaces themselves know, and opens the root. hostMounts
// says that its mount namespace is a copy of ours.
func Enter(s *format.Skeleton, root place.Process, hostMounts bool) (*Root, error) {
	for _, n := range s.Namespaces {
		if n.Kind == format.NamespaceKind_UTS && n.Own && n.Uts != nil {
			if err := setNames(root, n.Uts); err != nil {
				return nil, err
			}
		}
		if n.Kind == format.NamespaceKind_MNT && n.Own {
			if err := checkMounts(root, n.Mounts, hostMounts); err != nil {
				return nil, err
			}
		}
		if n.Kind == format.NamespaceKind_NET && n.Own {
			if err := setUp(root, n.Links); err != nil {
				return nil, err
			}
		}
	}
	r := &Root{directories: map[string]int{}}
	var err error
	if r.fd, err = unix.Open(fmt.Sprintf("/proc/%d/root", root.PID()), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open the container's root directory: %w", err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", root.PID()))
	if err != nil {
		return nil, err
	}
	if r.cgroups, err = procfs.ParseCgroupPaths(string(text)); err != nil {
		return nil, err
	}
	if text, err = os.ReadFile("/proc/self/mountinfo"); err != nil {
		return nil, err
	}
	r.mounts = procfs.ParseCgroupMounts(string(text))
	return r, nil
}

func setNames(p place.Process, u *format.Uts) error {
	addr, _ := p.Scratch()
	for _, n := range []struct {
		what  string
		nr    uint64
		value string
	}{
		{"host name", unix.SYS_SETHOSTNAME, u.Nodename},
		{"domain name", unix.SYS_SETDOMAINNAME, u.Domainname},
	} {
		if err := p.Write(addr, append([]byte(n.value), 0)); err != nil {
			return err
		}
		if _, err := p.Call(n.nr, addr, uint64(len(n.value))); err != nil {
			return fmt.Errorf("set the container's %s to %q: %w", n.what, n.value, err)
		}
	}
	return nil
}

// Directory opens a directory of the container; the descriptor stays ours.
func (r *Root) Directory(path string) (int, error) {
	if fd, ok := r.directories[path]; ok {
		return fd, nil
	}
	fd, err := unix.Openat2(r.fd, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return -1, fmt.Errorf("directory %s of the container: %w", path, err)
	}
	r.directories[path] = fd
	return fd, nil
}

// Cgroups puts a process into its cgroups below the container's own, which are
// made if they are not there.
func (r *Root) Cgroups(p place.Process, memberships []*format.CgroupMembership) error {
	for _, m := range memberships {
		if m.Path == "/" || m.Path == "" {
			continue
		}
		dir, ok := r.directory(m.Controllers)
		if !ok {
			return fmt.Errorf("it was in cgroup %s of hierarchy %q, which this host has not mounted", m.Path, m.Controllers)
		}
		dir = filepath.Join(dir, filepath.Join("/", m.Path))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make its cgroup: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(p.PID())), 0); err != nil {
			return fmt.Errorf("put it into its cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// directory finds the container's own cgroup in a hierarchy.
func (r *Root) directory(controllers string) (string, bool) {
	for _, c := range r.cgroups {
		if c.Controllers != controllers {
			continue
		}
		for _, m := range r.mounts {
			if controllers == "" && m.Version == 2 || controllers != "" && m.HasController(firstOf(controllers)) {
				rel, err := filepath.Rel(m.Root, c.Path)
				if err != nil {
					return "", false
				}
				return filepath.Join(m.Mountpoint, rel), true
			}
		}
	}
	return "", false
}

func firstOf(controllers string) string {
	for i, c := range controllers {
		if c == ',' {
			return controllers[:i]
		}
	}
	return controllers
}

// Close closes the directories.
func (r *Root) Close() {
	for _, fd := range r.directories {
		unix.Close(fd)
	}
	unix.Close(r.fd)
}

// LeaveTerminal takes the controlling terminal from a session leader that the
// stage gave one; the image says which it has.
func LeaveTerminal(p place.Process) error {
	addr, _ := p.Scratch()
	if err := p.Write(addr, []byte("/dev/tty\x00")); err != nil {
		return err
	}
	const atFdcwd = ^uint64(99)
	fd, err := p.Call(unix.SYS_OPENAT, atFdcwd, addr, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open /dev/tty: %w", err)
	}
	if _, err := p.Call(unix.SYS_IOCTL, fd, unix.TIOCNOTTY, 0); err != nil {
		return fmt.Errorf("leave the controlling terminal: %w", err)
	}
	_, err = p.Call(unix.SYS_CLOSE, fd)
	return err
}
