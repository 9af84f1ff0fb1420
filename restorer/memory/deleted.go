package memory

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// makeDeleted makes a file, or a directory, where it was, and removes it again
// at once. Whoever asks the kernel for its name reads "PATH (deleted)". If
// another file has the path now, it is left alone, and the removed one was made
// under a hidden name beside it. What directories are missing on the way are
// made and removed, too.
func (b *Backing) makeDeleted(o *object, d *format.DeletedFile, tmpfile int) (err error) {
	dirName, base := path.Split(d.Path)
	if d.Nameless {
		dirName, base = d.Path, "nameless"
	}
	w, err := b.walk(dirName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.back()) }()
	dir := w.dir()
	switch {
	case d.Inode.Mode&unix.S_IFMT == unix.S_IFDIR:
		return o.makeDirectory(dir, base, d.Inode)
	case d.Nameless:
		err = o.makeNameless(dir, tmpfile)
		if err == nil || !errors.Is(err, unix.EOPNOTSUPP) {
			break
		}
		fallthrough
	default:
		err = o.makeNamed(dir, base)
	}
	if err != nil {
		return err
	}
	return unix.Ftruncate(o.local, int64(o.Size))
}

// tmpfileFlags are the access mode of an open file that O_TMPFILE gave; it
// still shows in F_GETFL. -1: none.
func tmpfileFlags(s *format.Skeleton, id uint32) int {
	for _, f := range s.OpenFiles {
		if f.GetMemory().GetSharedMemory() == id && int(f.Flags)&unix.O_TMPFILE == unix.O_TMPFILE {
			const can = unix.O_ACCMODE | unix.O_APPEND | unix.O_NONBLOCK | unix.O_SYNC | unix.O_DIRECT | unix.O_NOATIME
			return int(f.Flags) & can
		}
	}
	return -1
}

// makeNameless makes a file with O_TMPFILE, which linkat(2) can give a name.
func (o *object) makeNameless(dir, flags int) error {
	access := max(flags, unix.O_RDWR)
	if flags >= 0 {
		access = flags
	}
	fd, err := unix.Openat(dir, ".", unix.O_TMPFILE|access|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	if o.local, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil || flags < 0 {
		unix.Close(fd)
		return err
	}
	o.made = fd
	return nil
}

func (o *object) makeNamed(dir int, base string) error {
	return underName(base, func(name string) (err error) {
		o.local, err = unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		return unix.Unlinkat(dir, name, 0)
	})
}

func (o *object) makeDirectory(dir int, base string, i *format.Inode) error {
	return underName(base, func(name string) (err error) {
		if err := unix.Mkdirat(dir, name, 0o700); err != nil {
			return err
		}
		o.local, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == nil {
			err = setInode(o.local, i)
		}
		return errors.Join(err, unix.Unlinkat(dir, name, unix.AT_REMOVEDIR))
	})
}

// underName calls make with a name until there is nothing of that name.
func underName(base string, make func(name string) error) error {
	if base == "" || base == "." || base == ".." {
		return fmt.Errorf("%q is no name of a file", base)
	}
	err := make(base)
	for n := 1; errors.Is(err, unix.EEXIST) && n < 1000; n++ {
		const longest = 255 // NAME_MAX
		suffix := fmt.Sprintf(".lxc-restart-%d", n)
		err = make("." + base[:min(len(base), longest-1-len(suffix))] + suffix)
	}
	return err
}

// walk is a way down from the container's root, on which missing directories
// were made.
type walk struct{ steps []step }

type step struct {
	fd    int
	name  string // in the step before
	made  bool
	times [2]int64 // that it had
}

func (b *Backing) walk(dir string) (_ *walk, err error) {
	w := &walk{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.back())
		}
	}()
	at := "/"
	if err := b.step(w, at, ""); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(path.Clean("/" + dir)[1:], "/") {
		if name == "" {
			continue
		}
		at = path.Join(at, name)
		if err := b.step(w, at, name); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (b *Backing) step(w *walk, at, name string) error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	s := step{name: name}
	var err error
	s.fd, err = unix.Openat2(b.rootDir, at, &how)
	if errors.Is(err, unix.ENOENT) && len(w.steps) > 0 {
		if err := unix.Mkdirat(w.dir(), name, 0o700); err != nil {
			return fmt.Errorf("make the directory %s, which has gone too: %w", at, err)
		}
		s.made = true
		s.fd, err = unix.Openat2(b.rootDir, at, &how)
	}
	if err != nil {
		return fmt.Errorf("open the directory %s: %w", at, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(s.fd, &st); err != nil {
		unix.Close(s.fd)
		return err
	}
	s.times = [2]int64{st.Atim.Nano(), st.Mtim.Nano()}
	w.steps = append(w.steps, s)
	return nil
}

func (w *walk) dir() int { return w.steps[len(w.steps)-1].fd }

// back removes what was made and gives the directory that was there its times.
func (w *walk) back() error {
	var err error
	for i := len(w.steps) - 1; i >= 0; i-- {
		s := w.steps[i]
		if s.made {
			err = errors.Join(err, unix.Unlinkat(w.steps[i-1].fd, s.name, unix.AT_REMOVEDIR))
		} else if i == len(w.steps)-1 || w.steps[i+1].made {
			_ = setTimes(s.fd, s.times[0], s.times[1]) // a kindness
		}
		unix.Close(s.fd)
	}
	w.steps = nil
	return err
}
