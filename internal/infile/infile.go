// Package infile is where a statefile is read from: a file, or a descriptor
// that was open before, a pipe for example.
package infile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Input is a statefile to be read.
type Input struct {
	ctx   context.Context
	f     *os.File // a regular file at its begin; nil otherwise
	fd    int      // otherwise
	own   bool     // fd is a second one that we opened on the same pipe
	given int
	sock  bool
	stall time.Duration
	read  int64
}

// Open opens a file.
func Open(name string) (*Input, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0) // not blocked by a FIFO
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("statefile %s cannot be opened: %w", name, err)
	}
	s, err := f.Stat()
	if err == nil && !s.Mode().IsRegular() {
		err = errors.New("it is no regular file: to read from a pipe, use --statefd=0 <" + name)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("statefile %s: %w", name, err)
	}
	return &Input{f: f}, nil
}

// Use takes descriptor fd, which must be open for reading and no terminal. A
// read ends with an error when ctx ends, or when nothing came for the time
// stall.
func Use(ctx context.Context, fd int, stall time.Duration) (*Input, error) {
	in := &Input{ctx: ctx, fd: fd, given: fd, stall: stall}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fmt.Errorf("%s is not open: redirect it, as in %d<FILE: %w", in, fd, err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", in, err)
	}
	kind := s.Mode & unix.S_IFMT
	if kind != unix.S_IFSOCK && (flags&unix.O_ACCMODE == unix.O_WRONLY || flags&unix.O_PATH != 0) {
		return nil, fmt.Errorf("%s is not open for reading: redirect it, as in %d<FILE", in, fd)
	}
	switch kind {
	case unix.S_IFREG:
		if at, err := unix.Seek(fd, 0, io.SeekCurrent); err == nil && at == 0 {
			dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", in, err)
			}
			in.f = os.NewFile(uintptr(dup), in.String())
		}
	case unix.S_IFCHR:
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			return nil, fmt.Errorf("%s is a terminal: redirect it, as in %d<FILE", in, fd)
		}
	case unix.S_IFIFO:
		// See outfile.Use: told not to block without a change for others.
		own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", in, err)
		}
		in.fd, in.own = own, true
	case unix.S_IFSOCK:
		in.sock = true
	case unix.S_IFDIR:
		return nil, fmt.Errorf("%s is a directory", in)
	}
	return in, nil
}

func (in *Input) String() string {
	if in.f != nil {
		return in.f.Name()
	}
	return fmt.Sprintf("descriptor %d", in.given)
}

// Reader is what to read from: an *os.File if it is a regular file, which can
// be read in parallel.
func (in *Input) Reader() io.Reader {
	if in.f != nil {
		return in.f
	}
	return in
}

// IsFile tells whether the input is a regular file, which has an end without
// anybody's doing.
func (in *Input) IsFile() bool { return in.f != nil }

// Read reads from a descriptor; it waits in pieces, so that ctx is heard.
func (in *Input) Read(b []byte) (int, error) {
	if in.f != nil {
		return in.f.Read(b)
	}
	if len(b) == 0 {
		return 0, nil
	}
	for last := time.Now(); ; {
		if in.ctx.Err() != nil {
			return 0, context.Cause(in.ctx)
		}
		n, err := in.once(b)
		switch {
		case n > 0:
			in.read += int64(n)
			return n, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if time.Since(last) > in.stall {
				return 0, fmt.Errorf("%s: nothing came for %v, after %d bytes: see what its writer waits for", in, in.stall, in.read)
			}
			p := []unix.PollFd{{Fd: int32(in.fd), Events: unix.POLLIN}}
			_, _ = unix.Poll(p, 100)
		case err != nil:
			return 0, fmt.Errorf("%s: %w", in, err)
		default:
			return 0, io.EOF
		}
	}
}

func (in *Input) once(b []byte) (int, error) {
	if in.sock {
		n, _, err := unix.Recvfrom(in.fd, b, unix.MSG_DONTWAIT)
		return n, err
	}
	return unix.Read(in.fd, b)
}

// Close lets go of what Open or Use opened.
func (in *Input) Close() error {
	if in.f != nil {
		return in.f.Close()
	}
	if in.own {
		in.own = false
		return unix.Close(in.fd)
	}
	return nil
}

// Spool reads everything into a file without a name in $TMPDIR or /var/tmp
// (on a disk as a rule, which /tmp may not be), so that the writer can end,
// and goes on as that file. The file is gone when it is closed.
func (in *Input) Spool() error {
	if in.f != nil {
		return nil
	}
	dir := os.Getenv("TMPDIR")
	if dir == "" {
		dir = "/var/tmp"
	}
	f, err := unnamed(dir)
	if err != nil {
		return fmt.Errorf("no temporary file can be made in %s (TMPDIR names another directory): %w", dir, err)
	}
	if _, err := io.CopyBuffer(onlyWriter{f}, onlyReader{in}, make([]byte, 1<<20)); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.ENOSPC) {
			return fmt.Errorf("keeping the statefile until the old container is gone: the file system of %s is full after %d bytes (TMPDIR names another directory): %w", dir, in.read, err)
		}
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		_ = f.Close()
		return err
	}
	_ = in.Close()
	in.f = f
	return nil
}

// Hide io.Copy's shortcuts, which would not come through Read.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// unnamed makes a file of mode 0600 that no name leads to.
func unnamed(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), "the statefile's copy in "+dir), nil
	}
	f, err := os.CreateTemp(dir, "lxc-restart-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
