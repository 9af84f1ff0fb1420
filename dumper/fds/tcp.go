package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// Offsets in struct tcp_info, and bits there (include/uapi/linux/tcp.h).
const (
	infoState, infoOptions, infoScales, infoSize = 0, 5, 6, 8
	infoTimestamps, infoSACK, infoWindowScaling  = 1, 2, 4
)

// lookTCP saves a TCP socket that does not listen.
func (w *walk) lookTCP(f *file, fd, domain int) error {
	const kind = "TCP connection"
	if err := w.drain(f, fd); err != nil {
		return err
	}
	info, err := sys.GetsockoptBytes(fd, unix.IPPROTO_TCP, unix.TCP_INFO, infoSize)
	if err != nil || len(info) < infoSize {
		return fmt.Errorf("ask for the state of the TCP socket: %w", err)
	}
	c := &format.TcpConnection{Family: uint32(domain), State: uint32(info[infoState])}
	f.Kind = &format.OpenFile_TcpConnection{TcpConnection: c}
	if err := w.checkTCP(f, fd, kind, c); err != nil {
		return err
	}
	if err := w.tcpAddresses(f, fd, c); err != nil {
		return err
	}
	own := ipv4Options
	if domain == unix.AF_INET6 {
		own = ipv6Options
	}
	if c.Options, err = w.options(f, fd, [3]int{domain, unix.SOCK_STREAM, unix.IPPROTO_TCP}, socketOptions, own, streamOptions[domain], tcpOptions, connectionOptions); err != nil {
		return err
	}
	if err := tcpBuffers(fd, c); err != nil {
		return err
	}
	switch c.State {
	case sys.TCPClose:
		return readReceived(fd, c)
	case sys.TCPSynSent:
		return nil
	}
	scales := info[infoScales]
	c.WindowScaling = info[infoOptions]&infoWindowScaling != 0
	c.SendScale, c.ReceiveScale = uint32(scales&15), uint32(scales>>4)
	c.SelectiveAcknowledgement = info[infoOptions]&infoSACK != 0
	c.Timestamps = info[infoOptions]&infoTimestamps != 0
	return w.Connections.silence(f, fd, kind, func() error {
		// What was under way may have come just before it fell silent: the FIN, or
		// what acknowledges ours.
		now, err := sys.GetsockoptBytes(fd, unix.IPPROTO_TCP, unix.TCP_INFO, infoSize)
		if err != nil || len(now) < infoSize {
			return fmt.Errorf("ask for the state of the TCP socket: %w", err)
		}
		if c.State = uint32(now[infoState]); c.State == sys.TCPClose {
			return f.refuseNow(kind, "it has just ended", "try again")
		}
		return readConnection(fd, c)
	})
}

var connectionOptions = []option{
	{unix.IPPROTO_TCP, unix.TCP_CORK, 4}, {unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, 4}, {unix.IPPROTO_TCP, unix.TCP_INQ, 4},
	{unix.IPPROTO_TCP, unix.TCP_THIN_LINEAR_TIMEOUTS, 4}, {unix.IPPROTO_TCP, unix.TCP_TX_DELAY, 4},
}

// checkTCP refuses what can't be taken.
func (w *walk) checkTCP(f *file, fd int, kind string, c *format.TcpConnection) error {
	if w.RefuseTCP && c.State != sys.TCPClose {
		return f.refuse(kind, "--tcp-refuse was given", "have the program close it, or leave the option out")
	}
	if ulp, err := sys.GetsockoptBytes(fd, unix.IPPROTO_TCP, unix.TCP_ULP, 16); err == nil && len(ulp) > 0 && ulp[0] != 0 {
		return f.refuse(kind, fmt.Sprintf("a protocol of the kernel, %q, stands upon it (TCP_ULP)", unix.ByteSliceToString(ulp)), "have the program close it, or end it, before the checkpoint")
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI | unix.POLLRDHUP}}
	if _, err := unix.Poll(poll, 0); err != nil {
		return err
	}
	switch r := poll[0].Revents; {
	case r&unix.POLLERR != 0:
		return f.refuseNow(kind, "it has an error that the program has not heard of yet", "let the program go on until it has heard of it")
	case r&unix.POLLPRI != 0:
		return f.refuseNow(kind, "there is urgent data in it (MSG_OOB), which is not checkpointed", "let the program go on until it has read it")
	}
	c.Ended = c.State == sys.TCPClose && poll[0].Revents&unix.POLLRDHUP != 0
	switch c.State {
	case sys.TCPEstablished, sys.TCPSynSent, sys.TCPFinWait1, sys.TCPFinWait2, sys.TCPClose, sys.TCPCloseWait, sys.TCPLastAck, sys.TCPClosing:
		return nil
	}
	return f.refuseNow(kind, fmt.Sprintf("it is just in state %d", c.State), "try again")
}

func (w *walk) tcpAddresses(f *file, fd int, c *format.TcpConnection) error {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	if c.Address = inetAddress(name); c.Address.Port == 0 {
		c.Address = nil
	}
	peer, err := unix.Getpeername(fd)
	switch {
	case err == nil:
		c.Peer = inetAddress(peer)
		return nil
	case !errors.Is(err, unix.ENOTCONN):
		return err
	case c.State != sys.TCPSynSent:
		return nil
	}
	// Whom it connects to is told by that file only.
	list := map[uint32]string{unix.AF_INET: "tcp", unix.AF_INET6: "tcp6"}[c.Family]
	if c.Peer, err = w.peerByInode(f, list); err == nil && c.Peer == nil {
		err = errors.New("the kernel does not tell whom it connects to")
	}
	return err
}

// tcpBuffers saves the sizes of the buffers, which the kernel changes as it
// likes unless the program has set them.
func tcpBuffers(fd int, c *format.TcpConnection) error {
	for _, b := range []struct {
		name int
		to   *uint32
	}{{unix.SO_SNDBUF, &c.SendBuffer}, {unix.SO_RCVBUF, &c.ReceiveBuffer}} {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, b.name)
		if err != nil {
			return err
		}
		*b.to = uint32(n)
	}
	if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, soBufLock); err == nil {
		c.BufferLock = uint32(n)
	}
	// The sizes are not among the options.
	kept := c.Options[:0]
	for _, o := range c.Options {
		if o.Level != unix.SOL_SOCKET || o.Name != unix.SO_SNDBUF && o.Name != unix.SO_RCVBUF {
			kept = append(kept, o)
		}
	}
	c.Options = kept
	return nil
}

// readReceived reads the bytes that the program has not read, by peeking.
func readReceived(fd int, c *format.TcpConnection) error {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil || n == 0 {
		return err
	}
	c.ReceiveQueue, err = peekAll(fd, n)
	return err
}

// peekAll peeks at exactly n bytes.
func peekAll(fd, n int) ([]byte, error) {
	b := make([]byte, n)
	got, _, err := unix.Recvfrom(fd, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil {
		return nil, fmt.Errorf("look at %d bytes of its queue: %w", n, err)
	}
	if got != n {
		return nil, fmt.Errorf("of %d bytes of its queue only %d can be seen", n, got)
	}
	return b, nil
}

// readConnection reads sequence numbers, queues and windows of a socket that is
// in repair mode.
func readConnection(fd int, c *format.TcpConnection) error {
	unread, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return err
	}
	unacknowledged, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
	if err != nil {
		return err
	}
	unsent, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
	if err != nil {
		return err
	}
	// A FIN takes a number of its own.
	finSent, finAcknowledged, finReceived := fins(c.State)
	if finSent && !finAcknowledged {
		unacknowledged--
		unsent = max(unsent-1, 0)
	}
	if c.SendSequence, c.SendQueue, err = readQueue(fd, sys.RepairSend, unacknowledged); err != nil {
		return err
	}
	if c.ReceiveSequence, c.ReceiveQueue, err = readQueue(fd, sys.RepairReceive, unread); err != nil {
		return err
	}
	if finSent {
		c.SendSequence--
	}
	if finReceived {
		c.ReceiveSequence--
	}
	c.Unsent = uint32(min(unsent, unacknowledged))
	mss, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG)
	if err != nil {
		return err
	}
	c.MaximumSegment = uint32(mss)
	if c.Timestamps {
		t, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_TIMESTAMP)
		if err != nil {
			return err
		}
		c.Timestamp = uint32(t)
	}
	const words = 5
	if b, err := sys.GetsockoptBytes(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_WINDOW, 4*words); err == nil && len(b) == 4*words {
		word := func(i int) uint32 { return binary.NativeEndian.Uint32(b[4*i:]) }
		c.Window = &format.TcpWindow{SendUpdate: word(0), Send: word(1), Maximum: word(2), Receive: word(3), ReceiveUpdate: word(4)}
	}
	return nil
}

// fins says which FINs have been sent, acknowledged and received in a state.
func fins(state uint32) (sent, acknowledged, received bool) {
	switch state {
	case sys.TCPFinWait1:
		return true, false, false
	case sys.TCPFinWait2:
		return true, true, false
	case sys.TCPClosing, sys.TCPLastAck:
		return true, false, true
	case sys.TCPCloseWait:
		return false, false, true
	}
	return false, false, false
}

// readQueue reads one queue: the number of its first byte and its n bytes.
func readQueue(fd, queue, n int) (uint32, []byte, error) {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, queue); err != nil {
		return 0, nil, err
	}
	end, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ)
	if err != nil {
		return 0, nil, err
	}
	if n == 0 {
		return uint32(end), nil, nil
	}
	b, err := peekAll(fd, n)
	return uint32(end) - uint32(n), b, err
}

// connectTCP finds out which connections have their other end outside. Theirs
// would get a reset from a host whose network the container shares.
func (w *walk) connectTCP() (refused refusal.List, err error) {
	inside := map[string]bool{}
	key := func(a, b *format.InetAddress) string {
		return fmt.Sprint(unmap(a), a.Port, unmap(b), b.Port)
	}
	var all []*file
	for _, f := range w.files {
		if c := f.OpenFile.GetTcpConnection(); c != nil && c.Peer != nil && c.Address != nil && c.State != sys.TCPSynSent {
			inside[key(c.Address, c.Peer)] = true
			all = append(all, f)
		}
	}
	own := true
	if len(all) > 0 {
		if own, err = w.ownNetwork(); err != nil {
			return nil, err
		}
	}
	for _, f := range all {
		c := f.OpenFile.GetTcpConnection()
		if inside[key(c.Peer, c.Address)] || unmap(c.Peer).IsLoopback() {
			continue
		}
		w.Connections.Outside = true
		if !own {
			refused = append(refused, f.refuse("TCP connection", "its peer is outside, and would get a reset while the container is away, since that shares the host's network", "give the container a network of its own, or have the program close it").(*refusal.Refusal))
		}
	}
	return refused, nil
}

// ownNetwork tells whether the container has a network of its own.
func (w *walk) ownNetwork() (bool, error) {
	var ours, theirs unix.Stat_t
	err := errors.Join(unix.Stat("/proc/self/ns/net", &ours), unix.Stat(fmt.Sprintf("/proc/%d/ns/net", w.First), &theirs))
	return ours.Ino != theirs.Ino, err
}

// unmap is an address, of v4 if it is that in the form of v6.
func unmap(a *format.InetAddress) netip.Addr {
	addr, _ := netip.AddrFromSlice(a.Address)
	return addr.Unmap()
}
