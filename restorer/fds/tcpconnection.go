package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// Kinds of TCP_REPAIR_OPTIONS (include/net/tcp.h).
const optionMSS, optionWindow, optionSACKAllowed, optionTimestamp = 2, 3, 4, 8

func tcpConnectionSocket(_ *Restart, f *file) (family, typ, protocol int, err error) {
	return int(f.GetTcpConnection().Family), unix.SOCK_STREAM, unix.IPPROTO_TCP, nil
}

// makeTCPConnection does what does not need other sockets: a connection is built
// by connectTCP, when all listeners have their addresses.
func makeTCPConnection(ctx context.Context, r *Restart, f *file) (int, error) {
	m := f.GetTcpConnection()
	if err := setOptions(f.fd, m.Options); err != nil {
		return f.fd, err
	}
	if m.State == sys.TCPClose && !m.Ended || m.State == sys.TCPSynSent {
		if m.Address != nil {
			if err := r.bindInet(ctx, f.fd, m.Address); err != nil {
				return f.fd, fmt.Errorf("bind it to %s: %w", inetName(m.Address), err)
			}
		}
		if err := setBuffers(f.fd, m); err != nil {
			return f.fd, err
		}
	}
	return f.fd, setFlags(f.fd, f.Flags)
}

// connectTCP builds a connection in repair mode, without a packet to the peer:
// numbers, queues, what was agreed upon, windows.
func (j *join) connectTCP(ctx context.Context, f *file) error {
	m := f.GetTcpConnection()
	if m.State == sys.TCPSynSent || m.State == sys.TCPClose && !m.Ended {
		return nil
	}
	if err := sys.AttachFilter(f.fd, onlyMarked); err != nil {
		return fmt.Errorf("keep packets away from it: %w", err)
	}
	set := func(name, value int) error { return unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, name, value) }
	if err := set(unix.TCP_REPAIR, unix.TCP_REPAIR_ON); err != nil {
		return fmt.Errorf("build it in repair mode (needs CAP_NET_ADMIN): %w", err)
	}
	if err := presumeSegment(f.fd, m); err != nil {
		return err
	}
	f.local, f.remote = m.Address, m.Peer
	if err := j.bindConnection(ctx, f); err != nil {
		return err
	}
	for _, q := range []struct {
		queue int
		first uint32
	}{{sys.RepairSend, m.SendSequence}, {sys.RepairReceive, m.ReceiveSequence}} {
		if err := errors.Join(set(unix.TCP_REPAIR_QUEUE, q.queue), set(unix.TCP_QUEUE_SEQ, int(int32(q.first)))); err != nil {
			return fmt.Errorf("set its sequence numbers: %w", err)
		}
	}
	if err := unix.Connect(f.fd, sockaddr(f.remote)); err != nil {
		return fmt.Errorf("connect it to %s (is there a route as at the checkpoint?): %w", inetName(f.remote), err)
	}
	if err := j.agree(f.fd, m); err != nil {
		return err
	}
	if err := makeRoom(f.fd, m); err != nil {
		return err
	}
	if err := fillTCP(f.fd, sys.RepairReceive, m.ReceiveQueue); err != nil {
		return fmt.Errorf("put the %d bytes into it that it had not read: %w", len(m.ReceiveQueue), err)
	}
	sent := m.SendQueue[:len(m.SendQueue)-int(unsent(m))]
	if err := fillTCP(f.fd, sys.RepairSend, sent); err != nil {
		return fmt.Errorf("put the %d bytes into it that were not acknowledged: %w", len(sent), err)
	}
	if j.ends(m) {
		return nil
	}
	var err error
	if m.State != sys.TCPEstablished {
		// A FIN that was received counts in the window; until then it is open.
		err = setWindow(f.fd, openWindow(m))
	} else {
		err = j.finishTCP(f.fd, m)
	}
	if err != nil {
		return err
	}
	return settleSegment(f.fd, m)
}

// finishTCP gives buffers and windows the sizes that they had.
func (j *join) finishTCP(fd int, m *format.TcpConnection) error {
	if err := setBuffers(fd, m); err != nil {
		return err
	}
	if m.Window == nil {
		return nil
	}
	return setWindow(fd, m.Window)
}

// presumeSegment sets how large a segment may be before the connection is built:
// what is set in repair mode is heeded by the kernel only when the way to the peer
// changes, and till then it would send 536 bytes at a time (tcp_sync_mss,
// net/ipv4/tcp_output.c, Linux 6.18).
func presumeSegment(fd int, m *format.TcpConnection) error {
	const least = 88 // TCP_MIN_MSS
	if m.MaximumSegment < least {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, int(min(m.MaximumSegment, mostPresumed))); err != nil {
		return fmt.Errorf("set the size of its segments: %w", err)
	}
	return nil
}

const mostPresumed = 32767 // MAX_TCP_WINDOW

// settleSegment undoes that, when the windows are set, which count. To set IP
// options has the kernel look at the size again, for what is larger than TCP_MAXSEG can be; those of IPv6 don't.
func settleSegment(fd int, m *format.TcpConnection) error {
	err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, 0)
	if err == nil && m.MaximumSegment > mostPresumed && m.Family == unix.AF_INET {
		err = unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_OPTIONS, "")
	}
	if err != nil {
		return fmt.Errorf("settle the size of its segments: %w", err)
	}
	return nil
}

// bindConnection binds it to its address. One that ends at once needs no peer that
// is there, and gets one at the container's own address; if it does not have its
// address any more, at the loopback.
func (j *join) bindConnection(ctx context.Context, f *file) error {
	ends := j.ends(f.GetTcpConnection())
	var err error
	if ends && j.AsCopy {
		err = unix.Bind(f.fd, sockaddr(f.local))
	} else {
		err = j.bindInet(ctx, f.fd, f.local)
	}
	if ends && errors.Is(err, unix.EADDRNOTAVAIL) {
		f.local = &format.InetAddress{Address: loopback(len(f.local.Address)), Port: f.local.Port}
		err = j.bindInet(ctx, f.fd, f.local)
	}
	if err != nil {
		return fmt.Errorf("bind it to %s: %w", inetName(f.local), err)
	}
	if ends {
		j.standIns++
		f.remote = &format.InetAddress{Address: f.local.Address, Port: j.standIns, ScopeId: f.local.ScopeId}
	}
	return nil
}

func loopback(size int) []byte {
	if size == 4 {
		return []byte{127, 0, 0, 1}
	}
	return netip.IPv6Loopback().AsSlice()
}

// ends says whether a connection is made only to be reset: one that has ended, or
// is to end instead of going on.
func (r *Restart) ends(m *format.TcpConnection) bool {
	return m.State == sys.TCPClose && m.Ended || r.CloseTCP && m.State != sys.TCPClose && m.State != sys.TCPSynSent
}

// agree sets what both sides had agreed upon.
func (j *join) agree(fd int, m *format.TcpConnection) error {
	var b []byte
	add := func(code, value uint32) {
		b = binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(b, code), value)
	}
	if m.MaximumSegment != 0 {
		add(optionMSS, m.MaximumSegment)
	}
	if m.WindowScaling {
		add(optionWindow, m.SendScale|m.ReceiveScale<<16)
	}
	if m.SelectiveAcknowledgement {
		add(optionSACKAllowed, 0)
	}
	if m.Timestamps {
		add(optionTimestamp, 0)
	}
	if len(b) > 0 {
		if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_OPTIONS, string(b)); err != nil {
			return fmt.Errorf("set what both sides agreed upon: %w", err)
		}
	}
	if m.Timestamps {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_TIMESTAMP, int(int32(m.Timestamp))); err != nil {
			return fmt.Errorf("set its clock: %w", err)
		}
	}
	return nil
}

// setBuffers gives the buffers the sizes that they had, and leaves it to the
// kernel to change them, if the program had.
func setBuffers(fd int, m *format.TcpConnection) error {
	for _, b := range []struct {
		name int
		size uint32
	}{{unix.SO_SNDBUFFORCE, m.SendBuffer}, {unix.SO_RCVBUFFORCE, m.ReceiveBuffer}} {
		if b.size == 0 {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, b.name, int(b.size/2)); err != nil {
			return fmt.Errorf("set the size of its buffers (needs CAP_NET_ADMIN): %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, soBufLock, int(m.BufferLock)); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return fmt.Errorf("set whose affair the size of its buffers is: %w", err)
	}
	return nil
}

const soBufLock = 72 // SO_BUF_LOCK, Linux 5.14

// fillTCP fills a queue of a socket in repair mode.
func fillTCP(fd, queue int, data []byte) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, queue); err != nil {
		return err
	}
	return sendAll(fd, data)
}

func sendAll(fd int, data []byte) error {
	for len(data) > 0 {
		// In pieces: the queue for reading takes one as a whole, in one packet.
		n, err := sys.SendMessage(fd, data[:min(len(data), 16<<10)], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// makeRoom makes the buffers larger than they were: what is put into them here may
// take more of them than it took before.
func makeRoom(fd int, m *format.TcpConnection) error {
	const times, atLeast, most = 16, 1 << 20, 1 << 29
	room := func(size uint32, queue []byte) uint32 {
		return uint32(min(uint64(size)+times*uint64(len(queue))+atLeast, most))
	}
	return setBuffers(fd, &format.TcpConnection{
		SendBuffer: room(m.SendBuffer, m.SendQueue), ReceiveBuffer: room(m.ReceiveBuffer, m.ReceiveQueue),
	})
}

// openWindow is a window in which a FIN fits.
func openWindow(m *format.TcpConnection) *format.TcpWindow {
	next := m.ReceiveSequence + uint32(len(m.ReceiveQueue))
	const some = 65535
	w := m.Window
	if w == nil {
		w = &format.TcpWindow{SendUpdate: next, Send: some, Maximum: some}
	}
	return &format.TcpWindow{SendUpdate: w.SendUpdate, Send: w.Send, Maximum: w.Maximum, Receive: some, ReceiveUpdate: next}
}

func setWindow(fd int, w *format.TcpWindow) error {
	var b []byte
	for _, v := range []uint32{w.SendUpdate, w.Send, max(w.Maximum, w.Send), w.Receive, w.ReceiveUpdate} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_WINDOW, string(b)); err != nil {
		return fmt.Errorf("set its windows: %w", err)
	}
	return nil
}

// armTCP lets the connection go on: packets come in and are sent again.
func armTCP(r *Restart, f *file) error {
	m := f.GetTcpConnection()
	switch {
	case m.State == sys.TCPSynSent:
		if err := setFlags(f.fd, f.Flags|unix.O_NONBLOCK); err != nil {
			return err
		}
		if err := unix.Connect(f.fd, sockaddr(m.Peer)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return fmt.Errorf("connect it to %s, again: %w", inetName(m.Peer), err)
		}
		return setFlags(f.fd, f.Flags)
	case m.State == sys.TCPClose && !m.Ended:
		return nil
	}
	if err := restoreFilter(f.fd, m.Options); err != nil {
		return err
	}
	ends := r.ends(m)
	if err := unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, sys.RepairNone); err != nil && !ends {
		return err
	}
	// With a probe of the peer's window, which asks it what is missing; not if it has
	// sent its FIN and has all of ours: then nothing is, and a peer that has closed
	// its end and is not there any more would answer with a reset.
	off := unix.TCP_REPAIR_OFF
	if ends || m.State == sys.TCPCloseWait && len(m.SendQueue) == 0 {
		off = unix.TCP_REPAIR_OFF_NO_WP
	}
	if err := unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, off); err != nil {
		return fmt.Errorf("end repair mode: %w", err)
	}
	for _, o := range m.Options {
		if o.Level == unix.SOL_SOCKET && o.Name == unix.SO_REUSEADDR { // the end of repair mode has cleared it
			if err := setOption(f.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, o.Value); err != nil {
				return err
			}
		}
	}
	if ends {
		return nil
	}
	return r.sendUnsent(f.fd, m)
}

// sendUnsent sends what had not been sent yet.
func (r *Restart) sendUnsent(fd int, m *format.TcpConnection) error {
	data := m.SendQueue[len(m.SendQueue)-int(unsent(m)):]
	if len(data) == 0 {
		return nil
	}
	if err := makeRoom(fd, m); err != nil {
		return err
	}
	if err := sendAll(fd, data); err != nil {
		return fmt.Errorf("send %d bytes that had not been sent: %w", len(data), err)
	}
	return setBuffers(fd, m)
}

// unsent is how many bytes are sent when the connection goes on: none before a FIN,
// which is behind them already.
func unsent(m *format.TcpConnection) uint32 {
	switch m.State {
	case sys.TCPFinWait1, sys.TCPClosing, sys.TCPLastAck:
		return 0
	}
	return m.Unsent
}
