// Package tty takes what lies unread in a pseudo terminal out of it, and puts it
// there: the terminal's modes are changed for that moment, since they act on
// whatever passes.
package tty

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Queues is what lies unread between the two ends.
type Queues struct {
	Output []byte // what programs have written, for who reads the master
	// What was typed, for who reads the slave, as it was edited: in canonical
	// mode lines, and at the end maybe a part of one.
	Input []byte
}

// Take takes everything out. master and slave are descriptors of the two ends,
// of which nobody else reads or writes. Whatever comes, the modes are as before.
func Take(master, slave int) (q Queues, err error) {
	err = apart(master, slave, func(was *unix.Termios) error {
		if q.Output, err = drain(master); err != nil {
			return fmt.Errorf("read what its programs have written: %w", err)
		}
		// Without ICANON all that was typed can be read, an unfinished line too
		// (n_tty_set_termios, drivers/tty/n_tty.c).
		raw := plain(was)
		raw.Lflag &^= unix.ICANON
		if err := set(slave, raw); err != nil {
			return err
		}
		if q.Input, err = drain(slave); err != nil {
			return fmt.Errorf("read what was typed: %w", err)
		}
		return nil
	})
	return q, err
}

// Put puts everything in.
func Put(master, slave int, q Queues) error {
	if len(q.Output) == 0 && len(q.Input) == 0 {
		return nil
	}
	return apart(master, slave, func(was *unix.Termios) error {
		// With ICANON as it was: each line is one again.
		if err := set(slave, plain(was)); err != nil {
			return err
		}
		if err := fill(slave, q.Output); err != nil {
			return fmt.Errorf("write what its programs had written: %w", err)
		}
		if err := enter(slave, q.Input); err != nil {
			return fmt.Errorf("type what was typed: %w", err)
		}
		return nil
	})
}

// apart runs do while the master is not in packet mode, which would tell of
// changed modes and put a byte before everything, and gives back mode and modes.
func apart(master, slave int, do func(was *unix.Termios) error) (err error) {
	was, err := unix.IoctlGetTermios(slave, unix.TCGETS2)
	if err != nil {
		return fmt.Errorf("read its modes: %w", err)
	}
	packet, err := unix.IoctlGetInt(master, unix.TIOCGPKT)
	if err != nil {
		return fmt.Errorf("read whether it is in packet mode: %w", err)
	}
	if packet != 0 {
		if err := unix.IoctlSetPointerInt(master, unix.TIOCPKT, 0); err != nil {
			return err
		}
	}
	defer func() {
		back := set(slave, was)
		if packet != 0 {
			back = errors.Join(back, unix.IoctlSetPointerInt(master, unix.TIOCPKT, 1))
		}
		if back != nil {
			err = errors.Join(err, fmt.Errorf("give it its modes back: %w", back))
		}
	}()
	return do(was)
}

// plain is modes in which nothing is echoed, translated, edited or a signal.
func plain(was *unix.Termios) *unix.Termios {
	t := *was
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.INPCK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IUCLC | unix.IXON | unix.IXANY | unix.IXOFF
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ISIG | unix.IEXTEN
	for i := range t.Cc {
		t.Cc[i] = 0 // _POSIX_VDISABLE
	}
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = was.Cc[unix.VMIN], was.Cc[unix.VTIME]
	if t.Lflag&unix.ICANON != 0 { // in canonical mode they are VEOF and VEOL
		t.Cc[unix.VEOF], t.Cc[unix.VEOL] = 0, was.Cc[unix.VEOL]
	}
	return &t
}

func set(fd int, t *unix.Termios) error {
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, t); err != nil {
		return fmt.Errorf("set its modes: %w", err)
	}
	return nil
}

// drain reads all there is, without ever waiting for more.
func drain(fd int) ([]byte, error) {
	var all []byte
	for {
		// poll(2) has the kernel move on what is on its way (n_tty_poll).
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, 0); err != nil && !errors.Is(err, unix.EINTR) {
			return nil, err
		}
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		if err != nil || n == 0 {
			return all, err
		}
		b := make([]byte, n)
		n, err = unix.Read(fd, b)
		if err != nil || n == 0 {
			return all, err
		}
		all = append(all, b[:n]...)
	}
}

// enter types. What is written to the master reaches the slave when a worker of
// the kernel comes to it (flush_to_ldisc, drivers/tty/tty_buffer.c), and the
// modes are others by then; TIOCSTI goes there at once.
func enter(slave int, b []byte) error {
	for i := range b {
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(slave), unix.TIOCSTI, uintptr(unsafe.Pointer(&b[i]))); e != 0 {
			return fmt.Errorf("TIOCSTI (needs CAP_SYS_ADMIN): %w", e)
		}
	}
	return nil
}

// fill writes, waiting at most a second for the kernel to make room.
func fill(fd int, b []byte) error {
	for end := time.Now().Add(time.Second); len(b) > 0; {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if _, err := unix.Poll(p, 10); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if p[0].Revents&unix.POLLOUT == 0 {
			if time.Now().After(end) {
				return fmt.Errorf("%d bytes have no room in it, or its output is stopped", len(b))
			}
			continue
		}
		n, err := unix.Write(fd, b[:min(len(b), 1024)])
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}
