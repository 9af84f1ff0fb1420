package fds

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/packet"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// An orphan is a TCP connection whose program has closed it while not all bytes
// had got to the peer: the kernel sends them on, and no process has it any more.
// A descriptor of it can't be had, so it can't be saved. If its peer is in the
// container too, what it holds can get there before the peer is looked at: that
// happens all the time anyway, and changes nothing that a program could rely on.

// ends are the addresses of a connection, as one side sees them.
type ends struct{ local, remote netip.AddrPort }

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// closing tells whether an orphan has bytes or a FIN for a connection of the
// container: how many.
func (w *walk) closing(of ends) (uint32, error) {
	if w.net.orphans == nil {
		w.net.orphans = map[ends]uint32{}
		for _, name := range []string{"tcp", "tcp6"} {
			all, err := procfs.ReadNetSockets(w.net.pid, name)
			if errors.Is(err, unix.ENOENT) { // a kernel without IPv6
				continue
			}
			if err != nil {
				return 0, err
			}
			for _, s := range all {
				switch s.State {
				case sys.TCPFinWait1, sys.TCPLastAck, sys.TCPClosing:
					if s.Inode == 0 && s.Send > 0 {
						w.net.orphans[ends{unmapped(s.Remote), unmapped(s.Local)}] = s.Send
					}
				}
			}
		}
	}
	return w.net.orphans[of], nil
}

// drain waits until all that an orphan holds for a connection has got there. Its
// own buffer may be too full for that: it is larger for the moment. As long as
// something comes it goes on, however slow the machine is.
func (w *walk) drain(f *file, fd int) error {
	local, remote, err := connectionEnds(fd)
	if err != nil {
		return nil // it is not connected
	}
	coming, err := w.closing(ends{local, remote})
	if err != nil || coming == 0 {
		return err
	}
	undo, err := enlarge(fd, int(coming))
	if err != nil {
		return err
	}
	defer undo()
	const patience, again = 5 * time.Second, 50 * time.Millisecond
	moved, last := time.Now(), time.Time{}
	has, err := nextToReceive(fd)
	if err != nil {
		return err
	}
	for ; ; time.Sleep(time.Millisecond) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if _, err := unix.Poll(poll, 0); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if poll[0].Revents != 0 { // the FIN, or an error
			return nil
		}
		if time.Since(moved) > patience {
			return f.refuseNow("TCP connection", fmt.Sprintf("its peer, which is closed, has not sent all of its last %d bytes yet", coming), "try again")
		}
		if time.Since(last) > again {
			if err := w.tellWindow(fd, local, remote); err != nil {
				return fmt.Errorf("tell its peer that there is room: %w", err)
			}
			last = time.Now()
			if next, err := nextToReceive(fd); err == nil && next != has {
				has, moved = next, last
			}
		}
	}
}

func connectionEnds(fd int) (local, remote netip.AddrPort, err error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return local, remote, err
	}
	peer, err := unix.Getpeername(fd)
	if err != nil {
		return local, remote, err
	}
	return sockaddrPort(name), sockaddrPort(peer), nil
}

func sockaddrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// enlarge makes room for so many bytes more.
func enlarge(fd, more int) (undo func(), err error) {
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return nil, err
	}
	locked, lockErr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, soBufLock)
	// Segments of few bytes take many times as much.
	const times, atLeast, most = 16, 1 << 20, 1 << 30
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, min(size+times*more+atLeast, most)/2); err != nil {
		return nil, fmt.Errorf("make its buffer larger (needs CAP_NET_ADMIN): %w", err)
	}
	return func() {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size/2)
		if lockErr == nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, soBufLock, locked)
		}
	}, nil
}

// tellWindow has the kernel tell the peer how much room there is now: it does when
// something comes that it has long had (tcp_validate_incoming, net/ipv4/tcp_input.c).
func (w *walk) tellWindow(fd int, local, remote netip.AddrPort) error {
	next, err := nextToReceive(fd)
	if err != nil {
		return err
	}
	const long = 1 << 20
	p := packet.TCP(packet.Segment{From: remote, To: local, Sequence: next - long, Flags: packet.ACK, Data: []byte{0}})
	family, name := packet.Name(local.Addr())
	return elsewhere.InNetwork(w.net.pid, func() error {
		raw, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(raw)
		return unix.Sendto(raw, p, unix.MSG_DONTWAIT, name)
	})
}

// nextToReceive is the number of the next byte that comes.
func nextToReceive(fd int) (uint32, error) {
	reuse, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR)
	if err != nil {
		return 0, err
	}
	set := func(name, value int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, name, value) }
	if err := set(unix.TCP_REPAIR, unix.TCP_REPAIR_ON); err != nil {
		return 0, err
	}
	next := 0
	err = set(unix.TCP_REPAIR_QUEUE, sys.RepairReceive)
	if err == nil {
		next, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ)
	}
	err = errors.Join(err, set(unix.TCP_REPAIR_QUEUE, sys.RepairNone), set(unix.TCP_REPAIR, unix.TCP_REPAIR_OFF_NO_WP),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, reuse))
	return uint32(next), err
}
