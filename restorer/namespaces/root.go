// Package namespaces finishes the surroundings of a container's first process,
// whichever stage made it: names, directories, cgroups, its terminal.
package namespaces

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// Root is the container's root directory, held open from before any process
// changes its own.
type Root struct {
	skeleton    *format.Skeleton
	fd          int
	namespaces  map[uint32]int // by their number in the image
	mounts      *mounter
	contents    map[uint32]content
	roots       map[uint32]int // of mount namespaces that programs have made
	directories map[directory]int
	cgroups     *cgroups
	fork        Forker
	root        place.Process
	clocks      *procfs.TimeOffsets // of the container; nil: not read yet
	keepers     map[uint32]*keeper  // by their user namespace
}

// Surroundings are what the stage has made.
type Surroundings struct {
	HostMounts bool // its mount namespace is a copy of ours
	// External says which directory or file of this host is to be mounted where the
	// container had something that nobody makes again, by "mount:" and the place.
	External map[string]string
	// Veth are interfaces of the host that those of the container hang on, by their
	// names in it: of those that nobody else makes.
	Veth   map[string]string
	AsCopy bool // its host name and interfaces are to stay what they are
}

// Enter sets what the namespaces themselves know, and opens the root.
func Enter(s *format.Skeleton, root place.Process, fork Forker, have Surroundings, log *slog.Logger) (_ *Root, err error) {
	first := firstSet(s)
	for _, n := range s.Namespaces {
		if !slices.Contains(first, n.Id) {
			continue
		}
		if n.Kind == format.NamespaceKind_UTS && n.Own && n.Uts != nil && !have.AsCopy {
			if err := setNames(root, n.Uts); err != nil {
				return nil, err
			}
		}
	}
	r := &Root{
		skeleton: s, fd: -1, directories: map[directory]int{}, namespaces: map[uint32]int{},
		contents: map[uint32]content{}, roots: map[uint32]int{}, mounts: &mounter{}, fork: fork, root: root, keepers: map[uint32]*keeper{},
	}
	defer func() {
		err = errors.Join(err, r.dismiss())
		if err != nil {
			r.Close()
			if r.cgroups != nil {
				r.cgroups.undo()
			}
		}
	}()
	// Before mounts, which show parts of them, and namespaces, whose roots they are.
	if r.cgroups, err = makeCgroups(s, root, log); err != nil {
		return nil, err
	}
	if err := r.makeUsers(); err != nil {
		return nil, err
	}
	if err := r.openNested(s, root); err != nil {
		return nil, err
	}
	if err := r.makeNetworks(have, log); err != nil {
		return nil, err
	}
	if r.mounts, err = makeMounts(s, root, r, have, log); err != nil {
		r.mounts = &mounter{}
		return nil, err
	}
	for i, space := range r.mounts.spaces {
		if i > 0 {
			r.namespaces[space.Id], r.roots[space.Id] = space.ns, space.root
		}
	}
	r.findContents()
	if r.fd, err = unix.Open(fmt.Sprintf("/proc/%d/root", root.PID()), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open the container's root directory: %w", err)
	}
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

// directory is one of a mount namespace of the container; 0 is the first.
type directory struct {
	namespace uint32
	path      string
}

// Directory opens a directory of the container; the descriptor stays ours.
func (r *Root) Directory(namespace uint32, path string) (int, error) {
	key := directory{namespace, path}
	if fd, ok := r.directories[key]; ok {
		return fd, nil
	}
	root, err := r.RootOf(namespace)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Openat2(root, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return -1, fmt.Errorf("directory %s of the container: %w", path, err)
	}
	r.directories[key] = fd
	return fd, nil
}

// RootOf is the root of a mount namespace of the container; 0 is the first. The
// descriptor stays ours.
func (r *Root) RootOf(namespace uint32) (int, error) {
	if namespace == 0 {
		return r.fd, nil
	}
	if fd, ok := r.roots[namespace]; ok {
		return fd, nil
	}
	return -1, fmt.Errorf("mount namespace %d of the image is not the container's own", namespace)
}

// Close closes the directories.
func (r *Root) Close() {
	for _, fd := range r.directories {
		unix.Close(fd)
	}
	own := map[int]bool{}
	for _, s := range r.mounts.spaces {
		own[s.ns] = true
	}
	for _, fd := range r.namespaces {
		if !own[fd] {
			unix.Close(fd)
		}
	}
	r.namespaces = map[uint32]int{}
	r.mounts.close()
	if r.fd >= 0 {
		unix.Close(r.fd)
	}
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
