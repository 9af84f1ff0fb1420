package fds

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// pipe is what lies between the ends, while they are being made: descriptors
// that keep it in being until every end of the image is there.
type pipe struct {
	*format.Pipe
	begun       bool
	read, write int // of a pipe without a name: the two ends pipe2 gave, as long as no open file took them
	keep        int // both ends of a FIFO, or one end of a pipe that is always there to be opened again
}

func (p *pipe) close() {
	closeFD(&p.read)
	closeFD(&p.write)
	closeFD(&p.keep)
}

// makePipeEnd makes one end of a pipe. Ends beyond the two that pipe2 gives, or
// open for both, came from opening /proc/PID/fd/N, and come so again.
func makePipeEnd(_ context.Context, r *Restart, f *file) (fd int, err error) {
	p := r.pipes[f.GetPipe().GetPipe()]
	if p == nil {
		return -1, fmt.Errorf("the image has no pipe %d", f.GetPipe().GetPipe())
	}
	if !p.begun {
		if err := p.begin(); err != nil {
			return -1, err
		}
	}
	acc := int(f.Flags) & unix.O_ACCMODE
	switch {
	case acc == unix.O_RDONLY && p.read >= 0:
		fd, p.read = p.read, -1
	case acc == unix.O_WRONLY && p.write >= 0:
		fd, p.write = p.write, -1
	default:
		if fd, err = p.again(acc); err != nil {
			return -1, err
		}
	}
	return withFlags(fd, f.Flags)
}

// begin makes a pipe without a name, of the right capacity and content.
func (p *pipe) begin() error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	p.begun, p.read, p.write = true, ends[0], ends[1]
	var err error
	if p.keep, err = p.again(unix.O_RDWR); err != nil {
		return err
	}
	return p.fill(p.keep)
}

// again opens one more description of a pipe without a name, not blocking.
func (p *pipe) again(acc int) (int, error) {
	from := p.keep
	if from < 0 {
		from = p.read
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", from), acc|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open another end of a pipe: %w", err)
	}
	return fd, nil
}

// fill sets the capacity and writes the content. fd is open for writing unless
// there is no content, and does not block.
func (p *pipe) fill(fd int) error {
	if err := p.resize(fd); err != nil {
		return err
	}
	packets := p.Packets
	rest := p.Data
	if len(packets) == 0 {
		for len(rest) > 0 {
			n, err := p.write1(fd, rest)
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
	// Each write is a packet (pipe(2), O_DIRECT).
	if err := setFlags(fd, unix.O_DIRECT|unix.O_NONBLOCK); err != nil {
		return err
	}
	for i, size := range packets {
		if uint64(size) > uint64(len(rest)) || size == 0 {
			return fmt.Errorf("packet %d of %d of the pipe is of %d bytes, where %d are left", i+1, len(packets), size, len(rest))
		}
		n, err := p.write1(fd, rest[:size])
		if err != nil {
			return err
		}
		if n != int(size) {
			return fmt.Errorf("packet %d of the pipe is of %d bytes, and only %d went in", i+1, size, n)
		}
		rest = rest[size:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("the pipe holds %d bytes that belong to no packet", len(rest))
	}
	return setFlags(fd, unix.O_NONBLOCK)
}

func (p *pipe) write1(fd int, b []byte) (n int, err error) {
	err = retry(func() error { n, err = unix.Write(fd, b); return err })
	if errors.Is(err, unix.EAGAIN) {
		return 0, fmt.Errorf("the %d unread bytes of the pipe do not fit into its capacity of %d: %w", len(p.Data), p.Capacity, err)
	}
	if err != nil {
		return 0, fmt.Errorf("write %d unread bytes into the pipe: %w", len(b), err)
	}
	return n, nil
}

// resize gives the pipe its capacity (fcntl(2), F_SETPIPE_SZ).
func (p *pipe) resize(fd int) error {
	now, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return fmt.Errorf("read the capacity of the pipe: %w", err)
	}
	if p.Capacity == 0 || uint32(now) == p.Capacity {
		return nil
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, int(p.Capacity))
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("the pipe held up to %d bytes, and to make one of more than sysctl fs.pipe-max-size needs CAP_SYS_RESOURCE: give the restart that capability, or raise fs.pipe-max-size (and fs.pipe-user-pages-hard, if it is set): %w", p.Capacity, err)
	}
	if err != nil {
		return fmt.Errorf("set the capacity of the pipe to %d bytes: %w", p.Capacity, err)
	}
	return nil
}
