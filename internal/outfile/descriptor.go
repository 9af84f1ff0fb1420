package outfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptor writes a statefile to a descriptor that was open before. It
// never seeks it.
type Descriptor struct {
	ctx   context.Context
	fd    int
	own   bool // fd is a second one that we opened on the same pipe
	given int
	mode  uint32 // S_IFMT
	stall time.Duration

	written  int64
	complete bool
}

// Use prepares to write to descriptor fd. It fails if that is not open, or
// not for writing, or is a terminal. A write ends with an error when ctx
// ends, or when nobody has read anything for the time stall.
func Use(ctx context.Context, fd int, stall time.Duration) (*Descriptor, error) {
	o := &Descriptor{ctx: ctx, fd: fd, given: fd, stall: stall}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fmt.Errorf("%s is not open: redirect it, as in %d>FILE: %w", o, fd, err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	o.mode = s.Mode & unix.S_IFMT
	if o.mode != unix.S_IFSOCK && (flags&unix.O_ACCMODE == unix.O_RDONLY || flags&unix.O_PATH != 0) {
		return nil, fmt.Errorf("%s is not open for writing: redirect it, as in %d>FILE", o, fd)
	}
	switch o.mode {
	case unix.S_IFCHR:
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			return nil, fmt.Errorf("%s is a terminal and a statefile is no text: redirect it, as in %d>FILE", o, fd)
		}
		// Go opens /dev/null for a standard descriptor that was closed.
		if fd <= 2 && flags&unix.O_ACCMODE == unix.O_RDWR && s.Rdev == unix.Mkdev(1, 3) {
			return nil, fmt.Errorf("%s is not open: redirect it, as in %d>FILE", o, fd)
		}
	case unix.S_IFIFO:
		// An open file description of our own can be told not to block
		// without a change for those who share the given one.
		own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		gone := errors.Is(err, unix.ENXIO) || o.poll()&unix.POLLERR != 0
		if err == nil {
			o.fd, o.own = own, true
		}
		if gone {
			_ = o.Abort()
			return nil, fmt.Errorf("%s: nobody has the other end of the pipe open: see why the reader ended", o)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o, err)
		}
	case unix.S_IFSOCK:
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil || kind != unix.SOCK_STREAM {
			return nil, fmt.Errorf("%s is a socket that carries messages: a statefile needs a stream", o)
		}
		if _, err := unix.Getpeername(fd); err != nil {
			return nil, fmt.Errorf("%s is a socket that is not connected: %w", o, err)
		}
	}
	return o, nil
}

func (o *Descriptor) String() string { return fmt.Sprintf("descriptor %d", o.given) }

func (o *Descriptor) Write(b []byte) (int, error) {
	done := 0
	last := time.Now()
	for done < len(b) {
		if err := o.ctx.Err(); err != nil {
			return done, context.Cause(o.ctx)
		}
		n, err := o.once(b[done:])
		switch {
		case n > 0:
			done += n
			o.written += int64(n)
			last = time.Now()
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if time.Since(last) > o.stall {
				return done, fmt.Errorf("%s: nobody has read from it for %v, after %s: see what the reader waits for", o, o.stall, Size(uint64(o.written)))
			}
			o.waitFor(unix.POLLOUT)
		case err != nil:
			return done, explain(o.String(), o.written, err)
		default:
			return done, fmt.Errorf("%s: the kernel takes nothing more", o)
		}
	}
	return done, nil
}

// once writes what goes without waiting, where the kind of file knows that.
func (o *Descriptor) once(b []byte) (int, error) {
	if o.mode == unix.S_IFSOCK {
		return unix.SendmsgN(o.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	return unix.Write(o.fd, b)
}

// waitFor waits for an event, at most 100 ms so that ctx is heard.
func (o *Descriptor) waitFor(event int16) (ready int16) {
	p := []unix.PollFd{{Fd: int32(o.fd), Events: event}}
	_, _ = unix.Poll(p, 100)
	return p[0].Revents
}

// Commit makes sure that the bytes have arrived: in a file on its disk; out
// of a pipe in its reader, who may still have died before it read them all.
func (o *Descriptor) Commit() error {
	var err error
	switch o.mode {
	case unix.S_IFREG, unix.S_IFBLK:
		if e := unix.Fsync(o.fd); e != nil {
			err = explain(o.String(), o.written, e)
		}
	case unix.S_IFIFO:
		err = o.drain()
	}
	o.complete = err == nil
	return err
}

func (o *Descriptor) drain() error {
	last, before := time.Now(), -1
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		left, err := unix.IoctlGetInt(o.fd, unix.TIOCINQ)
		if err != nil || left == 0 {
			return nil // a kernel that cannot tell keeps nobody waiting
		}
		if o.poll()&unix.POLLERR != 0 {
			return explain(o.String(), o.written-int64(left), unix.EPIPE)
		}
		if left != before {
			last, before = time.Now(), left
		}
		if time.Since(last) > o.stall {
			return fmt.Errorf("%s: nobody has read the last %d bytes for %v: see what the reader waits for", o, left, o.stall)
		}
		select {
		case <-o.ctx.Done():
			return context.Cause(o.ctx)
		case <-time.After(pause):
		}
	}
}

func (o *Descriptor) poll() int16 {
	p := []unix.PollFd{{Fd: int32(o.fd), Events: 0}}
	_, _ = unix.Poll(p, 0)
	return p[0].Revents
}

// Abort lets go. What was written cannot be taken back: without the last
// record it is no statefile, and readers say so.
func (o *Descriptor) Abort() error {
	if o.own {
		_ = unix.Close(o.fd)
		o.own = false
	}
	return nil
}

// Free is known of a file only.
func (o *Descriptor) Free() (uint64, bool) {
	var fs unix.Statfs_t
	if o.mode != unix.S_IFREG || unix.Fstatfs(o.given, &fs) != nil || fs.Blocks == 0 {
		return 0, false
	}
	blocks := fs.Bavail
	if os.Geteuid() == 0 {
		blocks = fs.Bfree
	}
	return blocks * uint64(fs.Bsize), true
}

func (o *Descriptor) Remains() string {
	switch {
	case o.complete:
		return fmt.Sprintf("what %s got is complete", o)
	case o.written > 0:
		return fmt.Sprintf("what %s got is no complete statefile", o)
	}
	return "nothing was written"
}
