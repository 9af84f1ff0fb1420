package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/heir"
	"lxc-checkpoint/internal/sys"
)

// What lies in a socket's queue is read by peeking, which consumes nothing.
// SO_PEEK_OFF says where the next peek begins, and SO_PASSCRED makes the kernel
// tell who has sent what. Both are the program's own, and put back at once.

// lookAtUnixQueue saves the unread messages of a socket.
func (w *walk) lookAtUnixQueue(f *file, fd int, u *unixSocket) error {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLPRI}}
	if _, err := unix.Poll(poll, 0); err != nil {
		return err
	}
	failed := poll[0].Revents&unix.POLLERR != 0
	if poll[0].Revents&unix.POLLPRI != 0 {
		return f.refuseNow("UNIX socket", "there is an urgent byte in it (MSG_OOB), which is not checkpointed", "let the program go on until it has read it")
	}
	stream := u.Type == unix.SOCK_STREAM
	if failed && !stream {
		// The first recvmsg(2), a peek too, would take the error away.
		return f.refuseNow("UNIX socket", "it has an error that the program has not heard of yet: its peer was closed", "let the program go on until it has heard of it")
	}
	u.ResetByPeer = failed
	if poll[0].Revents&unix.POLLIN == 0 {
		return nil
	}
	total := 0
	if stream {
		var err error
		if total, err = unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil || total == 0 {
			return err
		}
	}
	return w.peeking(fd, true, func() error {
		if stream {
			return w.peekStream(f, fd, u, total)
		}
		return w.peekMessages(f, fd, u)
	})
}

// peeking runs fn while the socket takes offsets to peek at, and maybe tells
// credentials; the options are as before when it returns.
func (w *walk) peeking(fd int, credentials bool, fn func() error) (result error) {
	options := []struct{ name, want int }{{unix.SO_PEEK_OFF, 0}}
	if credentials {
		options = append(options, struct{ name, want int }{unix.SO_PASSCRED, 1})
	}
	for _, o := range options {
		before, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, o.name)
		if err != nil {
			return fmt.Errorf("ask for the option that its queue is read with: %w", err)
		}
		forget, err := w.Connections.Heir.Leave(fd, heir.Int(unix.SOL_SOCKET, o.name, before))
		if err != nil {
			return err
		}
		defer func() {
			if e := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.name, before); e != nil {
				result = errors.Join(result, fmt.Errorf("put back option %d of the socket: %w", o.name, e))
			}
			forget()
		}()
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.name, o.want); err != nil {
			return fmt.Errorf("set option %d of the socket, to read its queue: %w", o.name, err)
		}
	}
	return fn()
}

// controlSize has room for all that can come with a message: 253 descriptors
// (SCM_MAX_FD), credentials, a pidfd, a security label, in bytes.
const controlSize = 8192

// peeked is what one peek has seen.
type peeked struct {
	sys.Received
	credentials *unix.Ucred
	rights      []int // copies of ours
}

// peek looks at what is at an offset of the queue. size may go beyond data, see
// sys.ReceiveMessage.
func peek(fd, offset int, data []byte, size int) (*peeked, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, offset); err != nil {
		return nil, err
	}
	r, err := sys.ReceiveMessage(fd, data, size, make([]byte, controlSize), unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_TRUNC|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	p := &peeked{Received: r}
	messages, err := unix.ParseSocketControlMessage(r.Control)
	if err != nil {
		return nil, err
	}
	const scmPidfd = 4 // SCM_PIDFD, Linux 6.5
	for _, m := range messages {
		switch m.Header.Type {
		case unix.SCM_CREDENTIALS:
			c, err := unix.ParseUnixCredentials(&m)
			if err == nil && c.Pid != 0 { // 0: the message has none
				p.credentials = c
			}
		case unix.SCM_RIGHTS:
			fds, err := unix.ParseUnixRights(&m)
			if err != nil {
				return nil, err
			}
			p.rights = append(p.rights, fds...)
		case scmPidfd:
			unix.Close(int(int32(binary.NativeEndian.Uint32(m.Data))))
		}
	}
	if r.Flags&unix.MSG_CTRUNC != 0 {
		p.close()
		return nil, errors.New("not all descriptors of a message could be copied: raise the limit of open files (ulimit -n)")
	}
	return p, nil
}

func (p *peeked) close() {
	for _, fd := range p.rights {
		unix.Close(fd)
	}
	p.rights = nil
}

// peekStream reads the bytes of a stream. A peek never asks for more than there
// is: behind the last byte it would take a waiting error away.
func (w *walk) peekStream(f *file, fd int, u *unixSocket, total int) error {
	// Behind the buffer lies a page that can't be written, see split.
	page := os.Getpagesize()
	room := (total + page - 1) &^ (page - 1)
	memory, err := unix.Mmap(-1, 0, room+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(memory) }()
	if err := unix.Mprotect(memory[room:], unix.PROT_NONE); err != nil {
		return err
	}
	for offset := 0; offset < total; {
		buf := memory[room-(total-offset) : room]
		p, err := peek(fd, offset, buf, len(buf))
		if err != nil {
			return fmt.Errorf("look at what is unread in it: %w", err)
		}
		if p.Size == 0 {
			p.close()
			return fmt.Errorf("of its %d unread bytes only %d can be seen", total, offset)
		}
		data := append([]byte(nil), buf[:p.Size]...)
		if len(p.rights) > 0 {
			first, err := split(fd, offset, memory[:room], p.Size)
			if err != nil {
				p.close()
				return err
			}
			if first > 0 {
				if err := w.message(f, u, &peeked{credentials: p.credentials}, data[:first]); err != nil {
					p.close()
					return err
				}
			}
			data = data[first:]
		}
		if err := w.message(f, u, p, data); err != nil {
			return err
		}
		offset += p.Size
	}
	return nil
}

// split finds out how many of size bytes lie before those that were sent with
// descriptors. A peek goes on behind what it was asked for until it has seen
// descriptors (unix_stream_read_generic, net/unix/af_unix.c, Linux 6.18), so
// that asking for less does not tell. But one that can't write all bytes of a
// message leaves out that message: so it is given room for all bytes but the last.
func split(fd, offset int, memory []byte, size int) (int, error) {
	if size == 1 {
		return 0, nil
	}
	p, err := peek(fd, offset, memory[len(memory)-(size-1):], size)
	if errors.Is(err, unix.EFAULT) {
		return 0, nil // all were sent at once
	}
	if err != nil {
		return 0, fmt.Errorf("look at what was sent with descriptors: %w", err)
	}
	p.close()
	return p.Size, nil
}

// peekMessages reads datagrams or packets. One of no bytes is seen by the first
// peek only: the kernel marks it, and passes it by when it looks for an offset
// (__skb_try_recv_from_queue, net/core/datagram.c, up to Linux 6.18).
func (w *walk) peekMessages(f *file, fd int, u *unixSocket) error {
	packets := u.Type == unix.SOCK_SEQPACKET
	buf := make([]byte, 64<<10)
	for offset := 0; ; {
		p, err := peek(fd, offset, buf, len(buf))
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at what is unread in it: %w", err)
		}
		// The end of the stream has no control message, a packet of no bytes
		// has: its sender, or that it has none.
		if packets && p.Size == 0 && len(p.Control) == 0 {
			return nil
		}
		if p.Size > len(buf) {
			buf = make([]byte, p.Size)
			p.close()
			continue
		}
		offset += p.Size
		if err := w.message(f, u, p, append([]byte(nil), buf[:p.Size]...)); err != nil {
			return err
		}
		if m := u.Queue[len(u.Queue)-1]; !packets {
			m.SenderAddress = sys.UnixPath(p.Name)
		}
	}
}

// message notes one message of a queue. It takes over the copies of descriptors.
func (w *walk) message(f *file, u *unixSocket, p *peeked, data []byte) error {
	m := &format.UnixMessage{Data: data}
	u.Queue = append(u.Queue, m)
	var err error
	if c := p.credentials; c != nil {
		m.Credentials, err = w.credentials(f, c)
	}
	for i, fd := range p.rights {
		if err == nil {
			var id uint32
			if id, err = w.inFlight(f, fd); err == nil {
				m.Rights = append(m.Rights, id)
				continue
			}
		}
		unix.Close(p.rights[i])
	}
	p.rights = nil
	return err
}

// inFlight finds out which open file it is that our descriptor fd came with a
// message for: one that is known, or one that is nowhere else.
func (w *walk) inFlight(f *file, fd int) (uint32, error) {
	t := Table{PID: os.Getpid(), NSPID: f.NSPID, Command: f.Command}
	n, err := w.see(t, fd)
	if err != nil {
		return 0, err
	}
	known, err := w.identify(n)
	if err != nil {
		return 0, err
	}
	if known != nil {
		unix.Close(fd)
		return known.Id, nil
	}
	n.flying, n.copied = true, fd+1
	n.where = fmt.Sprintf("file in the queue of descriptor %d", f.number)
	if f.flying {
		n.where = "file in the queue of a " + f.where
	}
	w.add(n)
	return n.Id, nil
}
