package fds

import (
	"fmt"
	"log/slog"
	"path"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// Finder finds files of the container, and tells whether they are those that
// they were at the checkpoint.
type Finder struct {
	// AllowChanged logs that a mapped or open file has changed since the
	// checkpoint, which is an error otherwise.
	AllowChanged bool
	// RootOf finds the root of a mount namespace that a program in the container
	// has made. nil: there is none.
	RootOf func(namespace uint32) (fd int, err error)

	rootDir int // O_PATH descriptor of the container's root directory
	log     *slog.Logger
}

// NewFinder finds files below a directory; the descriptor stays the caller's.
func NewFinder(rootDir int, log *slog.Logger) Finder { return Finder{rootDir: rootDir, log: log} }

// Verify tells whether a file is there, and what it was, without opening it:
// executed says that it is mapped for reading, or executed, as for Open.
func (r *Finder) Verify(id *format.FileIdentity, flags int, executed bool) error {
	want := longEnough
	if executed {
		want = unchanged
	}
	seen, _, err := r.find(id, flags, want)
	if err != nil {
		return err
	}
	return unix.Close(seen)
}

// Open opens a file of the container, as a descriptor of ours, close-on-exec:
// id.Path in the container's root, with flags (O_*; those that create or empty
// a file are ignored).
//
// It is for what is mapped or executed, where a changed file would mean changed
// code or data under a running program: unless flags open it for writing, a
// regular file must have the size and the time of modification that it had
// (see identity.go). For shared mappings of files that may have been written
// since, there is OpenData.
func (r *Finder) Open(id *format.FileIdentity, flags int) (fd int, err error) {
	if acc := flags & unix.O_ACCMODE; acc != unix.O_RDONLY {
		return r.OpenData(id, flags)
	}
	return r.open(id, flags, unchanged)
}

// OpenData is Open for a file whose content may have gone on since the
// checkpoint: it must still be at least as long as it was.
func (r *Finder) OpenData(id *format.FileIdentity, flags int) (fd int, err error) {
	return r.open(id, flags, longEnough)
}

// openFlags are the flags of an open file that openat2 takes again. O_LARGEFILE
// is not among them: a 64-bit kernel sets it by itself.
const openFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_NONBLOCK | unix.O_SYNC | unix.O_DIRECT |
	unix.O_NOATIME | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_PATH | unix.O_NOCTTY

// pathFlags are those that O_PATH goes with (openat2(2)).
const pathFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW

// open looks at the file before it opens it, since opening a FIFO or a device
// that has come in its place could block or do harm.
func (r *Finder) open(id *format.FileIdentity, flags int, want demand) (int, error) {
	flags &= openFlags
	if flags&unix.O_PATH != 0 {
		flags &= pathFlags
	}
	seen, st, err := r.find(id, flags, want)
	if err != nil {
		return -1, err
	}
	defer unix.Close(seen)
	var opened unix.Stat_t
	fd, err := r.lookupFile(id, flags)
	if err != nil {
		return -1, err
	}
	if err := unix.Fstat(fd, &opened); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("look at %s: %w", id.GetPath(), err)
	}
	if opened.Dev != st.Dev || opened.Ino != st.Ino {
		unix.Close(fd)
		return -1, fmt.Errorf("%s is being replaced by another process of the host just now: restart again when that is done", id.GetPath())
	}
	return fd, nil
}

// find looks at a file, which the descriptor it returns (O_PATH) stands for.
func (r *Finder) find(id *format.FileIdentity, flags int, want demand) (fd int, st unix.Stat_t, err error) {
	fd, err = r.lookupFile(id, unix.O_PATH|flags&unix.O_NOFOLLOW)
	if err != nil {
		return -1, st, err
	}
	if err = unix.Fstat(fd, &st); err != nil {
		err = fmt.Errorf("look at %s: %w", id.GetPath(), err)
	} else {
		err = r.check(id, &st, flags, want)
	}
	if err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// lookupFile is lookup for a file of the image.
func (r *Finder) lookupFile(id *format.FileIdentity, flags int) (fd int, err error) {
	if !id.GetForeign() {
		return r.lookupIn(id.GetMountNamespace(), id.GetPath(), flags)
	}
	if !path.IsAbs(id.GetPath()) || flags&unix.O_ACCMODE != unix.O_RDONLY {
		return -1, fmt.Errorf("the image wants %q of the host opened with flags %#o", id.GetPath(), flags)
	}
	if fd, err = unix.Open(id.GetPath(), flags|unix.O_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("open %s, a file of the host that the container's first process ran from (lxc-execute): install the LXC that it had: %w", id.GetPath(), err)
	}
	return fd, nil
}

// lookup opens a path of the container's root. Symbolic links and ".." do not
// lead out of it (openat2(2), RESOLVE_IN_ROOT).
func (r *Finder) lookup(name string, flags int) (fd int, err error) {
	return r.lookupIn(0, name, flags)
}

// rootOf is the root of a mount namespace that a program has made; 0 is the
// container's first one.
func (r *Finder) rootOf(namespace uint32) (fd int, err error) {
	if namespace == 0 || r.RootOf == nil {
		return r.rootDir, nil
	}
	return r.RootOf(namespace)
}

// lookupIn does the same in the root of a mount namespace that a program has
// made; 0 is the container's first one.
func (r *Finder) lookupIn(namespace uint32, name string, flags int) (fd int, err error) {
	root, err := r.rootOf(namespace)
	if err != nil {
		return -1, err
	}
	if !path.IsAbs(name) {
		return -1, fmt.Errorf("the image names a file %q, which is not an absolute path", name)
	}
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	for range 100 {
		// EAGAIN: something was renamed or mounted meanwhile.
		if fd, err = unix.Openat2(root, name, &how); err != unix.EINTR && err != unix.EAGAIN {
			break
		}
	}
	switch err {
	case nil:
		return fd, nil
	case unix.ENOENT, unix.ENOTDIR:
		return -1, fmt.Errorf("%w: %w", &refusal.Refusal{
			Object: name, Reason: "it does not exist in the container's root file system, and did at the checkpoint", Remedy: "put it back and restart again",
		}, err)
	case unix.EROFS:
		return -1, fmt.Errorf("%w: %w", &refusal.Refusal{
			Object: name, Reason: "it was open for writing, and is on a file system that is read-only now", Remedy: "mount it as it was at the checkpoint",
		}, err)
	case unix.ENOSYS:
		return -1, fmt.Errorf("open %s: this kernel has no openat2(2), Linux 5.6 has: %w", name, err)
	}
	return -1, fmt.Errorf("open %s in the container's root with flags %#o: %w", name, flags, err)
}

// Link is where a symbolic link leads to; ENOENT: it is none, or not there.
func (r *Finder) Link(name string) (string, error) {
	fd, err := r.lookup(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", b) // ENOENT: it is none (do_readlinkat, fs/stat.c)
	return string(b[:max(n, 0)]), err
}

// lookupDir opens the directory of a path, to change entries of it. The
// caller closes it.
func (r *Finder) lookupDir(namespace uint32, name string) (fd int, base string, err error) {
	dir, base := path.Split(name)
	if base == "" || base == "." || base == ".." {
		return -1, "", fmt.Errorf("the image names a file %q, which is none", name)
	}
	fd, err = r.lookupIn(namespace, dir, unix.O_PATH|unix.O_DIRECTORY)
	return fd, base, err
}

// FileOf is the file that an open file is of; nil if it has no path, or needs none.
func FileOf(o *format.OpenFile) *format.FileIdentity {
	switch {
	case o.GetRegular() != nil:
		return o.GetRegular()
	case o.GetDirectory() != nil:
		return o.GetDirectory()
	case o.GetDevice() != nil:
		return o.GetDevice()
	}
	return o.GetFifo().GetFile()
}
