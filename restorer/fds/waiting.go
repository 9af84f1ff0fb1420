package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/packet"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// A connection that waits to be accepted comes into being by a handshake, and with
// numbers that the kernel chooses; its peer knows the old ones. There is one case in
// which the kernel says beforehand which it will choose: where such a connection
// has been just before, and is in state TIME_WAIT, the next one begins 65,537
// numbers further (tcp_timewait_state_process, net/ipv4/tcp_minisocks.c). So one is
// built, in repair mode, and ended; then comes what its peer had sent: SYN, ACK,
// bytes, and the end if it has come.
//
// From Linux 4.15 to 6.9 the kernel means to, and forgets the number on its way
// (tcp_v4_fill_cb wipes tcp_tw_isn out; 6.10 keeps it elsewhere): there it can't be
// done.
//
// The timestamps that they had agreed upon can't be chosen: it goes on without them.
const timeWaitStep = 65535 + 2

// CanWait tells whether this kernel lets connections that wait to be accepted be
// made again.
func CanWait() bool {
	major, minor, err := procfs.KernelVersion()
	return err == nil && (major > 6 || major == 6 && minor >= 10)
}

// waitAtListener makes all that wait at a listening socket.
func (j *join) waitAtListener(ctx context.Context, f *file) error {
	l := f.GetTcpListener()
	if len(l.Waiting) == 0 || j.CloseTCP {
		return nil
	}
	if !CanWait() {
		return errors.New("connections wait to be accepted, and this kernel can't be told with which number to begin: restart on Linux 6.10 or later, or give TCP connections up (--tcp-close)")
	}
	undo, err := admit(f.fd, l)
	if err != nil {
		return err
	}
	for _, w := range l.Waiting {
		if err := j.wait(ctx, w); err != nil {
			undo()
			return fmt.Errorf("have the connection from %s wait to be accepted: %w", inetName(w.Peer), err)
		}
	}
	undo()
	return j.checkWaiting(l)
}

// admit makes room for what has come, and has connections of which nothing has come
// yet wait, too.
func admit(fd int, l *format.TcpListener) (undo func(), err error) {
	longest := 0
	for _, w := range l.Waiting {
		longest = max(longest, len(w.ReceiveQueue))
	}
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return nil, err
	}
	locked, lockErr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, soBufLock)
	deferred, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT)
	if err != nil {
		return nil, err
	}
	buffer := func(size int) error {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size/2)
		if lockErr == nil {
			err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, soBufLock, locked))
		}
		return err
	}
	const fits, times, atLeast = 32 << 10, 4, 256 << 10
	if longest > fits {
		if err := buffer(max(size, times*longest+atLeast)); err != nil {
			return nil, fmt.Errorf("make its buffer larger (needs CAP_NET_ADMIN): %w", err)
		}
	}
	undo = func() {
		if longest > fits {
			_ = buffer(size)
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferred)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 0); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// wait makes one.
func (j *join) wait(ctx context.Context, w *format.TcpWaiting) error {
	first, theirs := w.SendSequence-1, w.ReceiveSequence-1 // those of the two SYNs
	peer, err := j.standIn(ctx, w)
	if err != nil {
		return fmt.Errorf("keep its peer silent: %w", err)
	}
	if peer != nil {
		defer func() { _ = leavePlace(peer) }()
	}
	if err := j.leaveTimeWait(ctx, w, first-timeWaitStep, theirs); err != nil {
		return err
	}
	s := packet.Segment{From: addrPort(w.Peer), To: addrPort(w.Address), Sequence: theirs, Flags: packet.SYN, Options: synOptions(w), Window: uint16(min(w.Window, 0xffff))}
	if err := j.sendRaw(s.To.Addr(), packet.TCP(s), 0); err != nil {
		return err
	}
	s.Options, s.Window = nil, uint16(min(w.Window>>w.SendScale, 0xffff))
	s.Sequence, s.Acknowledgement, s.Flags = theirs+1, w.SendSequence, packet.ACK
	if len(w.ReceiveQueue) == 0 {
		if err := j.sendRaw(s.To.Addr(), packet.TCP(s), 0); err != nil {
			return err
		}
	}
	for rest := w.ReceiveQueue; len(rest) > 0; rest = rest[len(s.Data):] {
		const atOnce = 16 << 10
		s.Data, s.Flags = rest[:min(len(rest), atOnce)], packet.ACK|packet.PSH
		if err := j.sendRaw(s.To.Addr(), packet.TCP(s), 0); err != nil {
			return err
		}
		s.Sequence += uint32(len(s.Data))
	}
	s.Data = nil
	if w.State == sys.TCPCloseWait || w.Ended {
		s.Flags = packet.FIN | packet.ACK
		if err := j.sendRaw(s.To.Addr(), packet.TCP(s), 0); err != nil {
			return err
		}
		s.Sequence++
	}
	if w.State != sys.TCPClose {
		return nil
	}
	s.Flags = packet.RST | packet.ACK
	return j.sendRaw(s.To.Addr(), packet.TCP(s), 0)
}

// synOptions are those with which the peer had asked for the connection.
func synOptions(w *format.TcpWaiting) []byte {
	const nothing, segment, scale, sack = 1, 2, 3, 4 // TCPOPT_* (include/net/tcp.h)
	var b []byte
	if w.MaximumSegment != 0 {
		b = binary.BigEndian.AppendUint16([]byte{segment, 4}, uint16(w.MaximumSegment))
	}
	if w.SelectiveAcknowledgement {
		b = append(b, nothing, nothing, sack, 2)
	}
	if w.WindowScaling {
		b = append(b, nothing, scale, 3, byte(w.SendScale))
	}
	return b
}

// leaveTimeWait builds a connection in the same place and ends it, so that its last
// number is next, and it has had from its peer what comes before theirs.
func (j *join) leaveTimeWait(ctx context.Context, w *format.TcpWaiting, next, theirs uint32) error {
	const before = 1000
	m := &format.TcpConnection{Family: familyOf(w), State: sys.TCPFinWait2, Address: w.Address, Peer: w.Peer, SendSequence: next - 1, ReceiveSequence: theirs - before}
	f, err := j.builtHere(ctx, m)
	if f != nil {
		defer unix.Close(f.fd)
	}
	if err != nil {
		return err
	}
	if err := j.endTCP(f); err != nil {
		return err
	}
	if err := j.injectTCP(f, m.ReceiveSequence, next, packet.FIN|packet.ACK); err != nil {
		return err
	}
	info, err := sys.GetsockoptBytes(f.fd, unix.IPPROTO_TCP, unix.TCP_INFO, 1)
	if err == nil && (len(info) == 0 || info[0] != sys.TCPClose) {
		err = errors.New("what has to be before it does not end: is the interface lo up, and does a packet filter let packets through?")
	}
	return err
}

// standIn is a socket in the place of the peer, if that is the container's own and
// there is none: it hears what comes for the peer and says nothing, where otherwise
// the kernel would answer with a reset. nil: none is needed.
func (j *join) standIn(ctx context.Context, w *format.TcpWaiting) (*file, error) {
	if here, err := j.isHere(w.Peer); err != nil || !here {
		return nil, err
	}
	m := &format.TcpConnection{Family: familyOf(w), State: sys.TCPEstablished, Address: w.Peer, Peer: w.Address,
		SendSequence: w.ReceiveSequence + uint32(len(w.ReceiveQueue)), ReceiveSequence: w.SendSequence}
	if w.State == sys.TCPCloseWait {
		m.State = sys.TCPFinWait2
	}
	f, err := j.builtHere(ctx, m)
	if err == nil {
		err = j.endTCP(f)
	}
	if err == nil {
		return f, nil
	}
	if f != nil {
		unix.Close(f.fd)
	}
	if errors.Is(err, unix.EADDRNOTAVAIL) { // it is there already
		return nil, nil
	}
	return nil, err
}

// leavePlace closes what stood in for a peer. Where the peer had said that it sends
// no more and was closed, the kernel keeps its place for a minute, as it does then.
func leavePlace(peer *file) error {
	defer unix.Close(peer.fd)
	if peer.GetTcpConnection().State != sys.TCPFinWait2 {
		return nil // in repair mode, without a word
	}
	return errors.Join(
		unix.SetsockoptInt(peer.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, sys.RepairNone),
		unix.SetsockoptInt(peer.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF_NO_WP))
}

// isHere tells whether an address is the container's own.
func (j *join) isHere(a *format.InetAddress) (bool, error) {
	family := unix.AF_INET
	if len(a.Address) == 16 {
		family = unix.AF_INET6
	}
	fd, err := j.socketInside(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	err = unix.Bind(fd, sockaddr(&format.InetAddress{Address: a.Address}))
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return false, nil
	}
	return err == nil, err
}

func familyOf(w *format.TcpWaiting) uint32 {
	if len(w.Address.Address) == 4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// builtHere builds a connection that is no open file of the container's.
func (j *join) builtHere(ctx context.Context, m *format.TcpConnection) (*file, error) {
	fd, err := j.socketInside(int(m.Family), unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		return nil, err
	}
	f := &file{OpenFile: &format.OpenFile{Kind: &format.OpenFile_TcpConnection{TcpConnection: m}}, fd: fd}
	return f, j.connectTCP(ctx, f)
}

// checkWaiting sees that all of them are there, with all that has come.
func (j *join) checkWaiting(l *format.TcpListener) error {
	type key struct{ local, remote netip.AddrPort }
	there := map[key]procfs.NetSocket{}
	for _, name := range []string{"tcp", "tcp6"} {
		all, err := procfs.ReadNetSockets(j.root.PID(), name)
		if errors.Is(err, unix.ENOENT) { // a kernel without IPv6
			continue
		}
		if err != nil {
			return err
		}
		for _, s := range all {
			there[key{netip.AddrPortFrom(s.Local.Addr().Unmap(), s.Local.Port()), netip.AddrPortFrom(s.Remote.Addr().Unmap(), s.Remote.Port())}] = s
		}
	}
	for _, w := range l.Waiting {
		if w.State == sys.TCPClose { // such a one is in no list
			continue
		}
		want := uint32(len(w.ReceiveQueue))
		if w.State == sys.TCPCloseWait {
			want++ // the FIN counts
		}
		s := there[key{addrPort(w.Address), addrPort(w.Peer)}]
		if uint32(s.State) != w.State || s.Receive != want {
			return fmt.Errorf("a connection from %s, with %d bytes, was to wait to be accepted: it is in state %d with %d bytes; is the interface lo up, and does a packet filter let packets through?", inetName(w.Peer), want, s.State, s.Receive)
		}
	}
	return nil
}
