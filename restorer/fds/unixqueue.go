package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// fillQueue sends a socket what it had not read yet, from the socket that had
// sent it, before any option makes the kernel add credentials to it.
func (j *join) fillQueue(f *file) error {
	for _, m := range f.GetUnixSocket().Queue {
		from, to, err := j.wayTo(f, m)
		if err == nil {
			err = j.withCredentials(m, func(c *unix.Ucred) error { return j.send(from, to, m, c) })
		}
		if err != nil {
			return fmt.Errorf("send it %d bytes that it had not read: %w", len(m.Data), err)
		}
	}
	return nil
}

// wayTo finds the socket to send a message to f from, and the raw address to send
// it to, if that is not connected to f.
func (j *join) wayTo(f *file, m *format.UnixMessage) (from int, to []byte, err error) {
	u := f.GetUnixSocket()
	if u.Type != unix.SOCK_DGRAM || len(u.Address) == 0 {
		if p := j.byID[u.Peer]; p != nil {
			return p.fd, nil, nil
		}
		if f.partner == 0 {
			return -1, nil, errors.New("it has no peer that could have sent that")
		}
		return f.partner, nil, nil
	}
	name, err := j.pathTo(f)
	if err != nil {
		return -1, nil, err
	}
	to = sys.RawUnixAddress(name)
	if s := j.byID[m.Sender]; s != nil {
		return s.fd, to, nil
	}
	if f.partner != 0 && len(m.SenderAddress) == 0 {
		return f.partner, to, nil
	}
	// One socket for each address that is gone is enough.
	key := "sender " + string(m.SenderAddress)
	if i, ok := j.senders[key]; ok {
		return j.temporary[i], to, nil
	}
	if from, err = j.temporarySocket(unix.SOCK_DGRAM, m.SenderAddress); err != nil {
		return -1, nil, err
	}
	j.senders[key] = len(j.temporary) - 1
	return from, to, nil
}

// withCredentials finds the process whose credentials a message has, in the
// numbers of our own pid namespace; nil if it has none.
func (j *join) withCredentials(m *format.UnixMessage, fn func(c *unix.Ucred) error) error {
	c := m.Credentials
	if c == nil {
		return fn(nil)
	}
	return j.as(c, func(p place.Process) error {
		return fn(&unix.Ucred{Pid: int32(p.PID()), Uid: c.Uid, Gid: c.Gid})
	})
}

// send sends one message. The sender's buffer is made large enough for it.
func (j *join) send(from int, to []byte, m *format.UnixMessage, c *unix.Ucred) error {
	var control []byte
	if c != nil {
		control = unix.UnixCredentials(c)
	}
	if len(m.Rights) > 0 {
		var fds []int
		for _, id := range m.Rights {
			fds = append(fds, j.byID[id].fd)
		}
		control = append(control, unix.UnixRights(fds...)...)
	}
	back, err := widen(from, len(m.Data))
	if err != nil {
		return err
	}
	data := m.Data
	for first := true; first || len(data) > 0; first = false {
		n, err := sys.SendMessage(from, data, control, to, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != nil {
			return err
		}
		data, control = data[n:], nil
		if c != nil {
			control = unix.UnixCredentials(c)
		}
	}
	return back()
}

// widen gives a socket's send buffer room for n bytes more than it holds, and
// returns what takes that back.
func widen(fd, n int) (back func() error, err error) {
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		return nil, err
	}
	used, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
	if err != nil {
		return nil, err
	}
	const perMessage = 64 << 10 // the kernel counts its own headers, too
	if want := used + 2*n + perMessage; want > size {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, want); err != nil {
			return nil, fmt.Errorf("make the sender's buffer larger for a moment (needs CAP_NET_ADMIN): %w", err)
		}
		return func() error { return narrow(fd, size) }, nil
	}
	return func() error { return nil }, nil
}

// narrow gives a socket the buffer size back that it had without the program's
// doing.
func narrow(fd, size int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size/2); err != nil {
		return err
	}
	const bufLock = 72 // SO_BUF_LOCK, Linux 5.14: sizes that were set are not changed any more
	locked, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, bufLock)
	if err != nil {
		return nil
	}
	const send = 1 // SOCK_SNDBUF_LOCK
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, bufLock, locked&^send)
}
