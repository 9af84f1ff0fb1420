package outfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is a statefile under construction. Where the file system can, it has
// no name until Commit (O_TMPFILE), so that even kill -9 leaves nothing; else
// it has a temporary one beside the final name.
type File struct {
	name string // as the user gave it
	path string // where it will be: name without symbolic links
	dir  *os.File
	f    *os.File
	temp string // base name of the temporary file; "" while it has none

	written, flushed int64
	complete         bool
}

// Create prepares to write the file. It fails, before anything is written, if
// the directory is missing or not writable, or if name is there and is no
// regular file.
func Create(name string) (*File, error) { return create(name, unix.O_TMPFILE) }

func create(name string, tmpfile int) (_ *File, err error) {
	o := &File{name: name}
	defer func() {
		if err != nil {
			_ = o.Abort()
		}
	}()
	if name == "" {
		return nil, errors.New("the statefile's name is empty")
	}
	if o.path, err = target(name); err != nil {
		return nil, err
	}
	dir := filepath.Dir(o.path)
	if o.dir, err = os.OpenFile(dir, unix.O_DIRECTORY, 0); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("statefile %s: there is no directory %s: make it first", name, dir)
		}
		return nil, fmt.Errorf("statefile %s: directory %s: %w", name, dir, bare(err))
	}
	fd := -1
	err = unix.EOPNOTSUPP
	if tmpfile != 0 {
		fd, err = unix.Openat(int(o.dir.Fd()), ".", tmpfile|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	}
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL):
		fd, err = o.openNamed()
	}
	if err != nil {
		return nil, fmt.Errorf("statefile %s: no file can be made in %s: %w", name, dir, err)
	}
	o.f = os.NewFile(uintptr(fd), name)
	if err := o.f.Chmod(0o600); err != nil { // the umask may have taken bits away
		return nil, fmt.Errorf("statefile %s: %w", name, bare(err))
	}
	return o, nil
}

// openNamed makes the temporary file where O_TMPFILE is not known. One of the
// same name can only be what an earlier run left that was killed.
func (o *File) openNamed() (int, error) {
	temp := o.tempName()
	const flags = unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(o.dir.Fd()), temp, flags, 0o600)
	if errors.Is(err, unix.EEXIST) {
		if err = unix.Unlinkat(int(o.dir.Fd()), temp, 0); err == nil {
			fd, err = unix.Openat(int(o.dir.Fd()), temp, flags, 0o600)
		}
	}
	if err == nil {
		o.temp = temp
	}
	return fd, err
}

// target resolves symbolic links, so that the file they lead to is replaced,
// and refuses what must not be replaced.
func target(name string) (string, error) {
	s, err := os.Lstat(name)
	if errors.Is(err, os.ErrNotExist) {
		path, err := filepath.Abs(name)
		if err == nil && (os.IsPathSeparator(name[len(name)-1]) || filepath.Base(name) == "." || filepath.Base(name) == "..") {
			err = errors.New("it is the name of a directory")
		}
		if err != nil {
			return "", fmt.Errorf("statefile %s: %w", name, err)
		}
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("statefile %s: %w", name, bare(err))
	}
	path := name
	if s.Mode()&os.ModeSymlink != 0 {
		if s, err = os.Stat(name); err != nil {
			return "", fmt.Errorf("statefile %s is a symbolic link that leads nowhere: remove it: %w", name, bare(err))
		}
	}
	switch {
	case s.IsDir():
		return "", fmt.Errorf("statefile %s is a directory: name a file in it", name)
	case !s.Mode().IsRegular():
		return "", fmt.Errorf("statefile %s is no regular file: open it yourself and use --statefd", name)
	}
	if path, err = filepath.EvalSymlinks(name); err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", fmt.Errorf("statefile %s: %w", name, bare(err))
	}
	return path, nil
}

func (o *File) tempName() string {
	base := filepath.Base(o.path)
	base = base[:min(len(base), 200)] // a name has at most 255 bytes
	return fmt.Sprintf(".%s.%d.tmp", base, os.Getpid())
}

// early is after how many bytes the kernel is told to begin writing them to
// the disk, so that little is left to wait for in Commit.
const early = 8 << 20

func (o *File) Write(b []byte) (int, error) {
	n, err := o.f.Write(b)
	o.written += int64(n)
	if err != nil {
		return n, explain("statefile "+o.name, o.written, bare(err))
	}
	if o.written-o.flushed >= early {
		// A hint: where it is not known, fsync does it all.
		_ = unix.SyncFileRange(int(o.f.Fd()), o.flushed, o.written-o.flushed, unix.SYNC_FILE_RANGE_WRITE)
		o.flushed = o.written
	}
	return n, nil
}

// Commit makes the file durable and lets it appear under its name. What was
// there under that name before is replaced at once or not at all.
func (o *File) Commit() error {
	if err := o.commit(); err != nil {
		return explain("statefile "+o.name, o.written, bare(err))
	}
	return nil
}

func (o *File) commit() error {
	if err := o.f.Sync(); err != nil {
		return err
	}
	dir, base := int(o.dir.Fd()), filepath.Base(o.path)
	if o.temp == "" {
		// First try its final name: there is no file in between then.
		self := fmt.Sprintf("/proc/self/fd/%d", o.f.Fd())
		err := unix.Linkat(unix.AT_FDCWD, self, dir, base, unix.AT_SYMLINK_FOLLOW)
		if err == nil {
			o.complete = true
			return o.dir.Sync()
		}
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
		temp := o.tempName()
		_ = unix.Unlinkat(dir, temp, 0) // left by an earlier run of our pid
		if err := unix.Linkat(unix.AT_FDCWD, self, dir, temp, unix.AT_SYMLINK_FOLLOW); err != nil {
			return err
		}
		o.temp = temp
	}
	if err := unix.Renameat(dir, o.temp, dir, base); err != nil {
		return err
	}
	o.temp = ""
	o.complete = true
	return o.dir.Sync()
}

// Abort removes what was written unless Commit has made it complete.
func (o *File) Abort() error {
	var err error
	if o.temp != "" {
		err = unix.Unlinkat(int(o.dir.Fd()), o.temp, 0)
		o.temp = ""
	}
	if o.f != nil {
		_ = o.f.Close()
		o.f = nil
	}
	if o.dir != nil {
		_ = o.dir.Close()
		o.dir = nil
	}
	if err != nil {
		return fmt.Errorf("statefile %s: the unfinished %s beside it is left: %w", o.name, o.tempName(), err)
	}
	return nil
}

// Free is how much root can still write to the file system.
func (o *File) Free() (uint64, bool) {
	var fs unix.Statfs_t
	if o.f == nil || unix.Fstatfs(int(o.f.Fd()), &fs) != nil || fs.Blocks == 0 {
		return 0, false
	}
	blocks := fs.Bavail
	if os.Geteuid() == 0 {
		blocks = fs.Bfree
	}
	return blocks * uint64(fs.Bsize), true
}

func (o *File) Remains() string {
	if o.complete {
		return o.name + " is complete"
	}
	if _, err := os.Lstat(o.path); err == nil {
		return o.name + " is as it was before"
	}
	return "nothing was written"
}

// bare takes the path out of an error, which our sentence has already.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
