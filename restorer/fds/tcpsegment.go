package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/packet"
	"lxc-checkpoint/internal/sys"
)

// onlyMarked is a filter that lets through what bears the mark injectedMark:
// until the program runs, a connection hears nothing but what is sent to it here.
//
//	ld mark; jeq injectedMark, 0, 1; ret all; ret 0
var onlyMarked = filterCode(
	bpfInstruction{0x20, 0, 0, 0xfffff000 + 20}, // SKF_AD_OFF + SKF_AD_MARK
	bpfInstruction{0x15, 0, 1, injectedMark},
	bpfInstruction{0x06, 0, 0, 0xffffffff},
	bpfInstruction{0x06, 0, 0, 0},
)

const injectedMark = 0x6c786370

type bpfInstruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

func filterCode(code ...bpfInstruction) (b []byte) {
	for _, i := range code {
		b = binary.NativeEndian.AppendUint16(b, i.code)
		b = binary.NativeEndian.AppendUint32(append(b, i.jt, i.jf), i.k)
	}
	return b
}

// endTCP brings the connection from ESTABLISHED to the state that it was in, when
// all others are there: what comes from its peer is made here.
func (j *join) endTCP(f *file) error {
	m := f.GetTcpConnection()
	if j.ends(m) {
		return j.resetTCP(f)
	}
	end := m.ReceiveSequence + uint32(len(m.ReceiveQueue))
	fin := func() error { return j.injectTCP(f, end, m.SendSequence, packet.FIN|packet.ACK) }
	shutdown := func() error {
		// To be counted as sent, and not to be sent.
		if err := unix.SetsockoptInt(f.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, sys.RepairSend); err != nil {
			return err
		}
		return unix.Shutdown(f.fd, unix.SHUT_WR)
	}
	var steps []func() error
	switch m.State {
	case sys.TCPFinWait1:
		steps = append(steps, shutdown)
	case sys.TCPFinWait2:
		steps = append(steps, shutdown, func() error { return j.injectTCP(f, end, m.SendSequence+1, packet.ACK) })
	case sys.TCPCloseWait:
		// Once more, which has the kernel acknowledge it at once (tcp_send_dupack,
		// net/ipv4/tcp_input.c), and not some time within 200 ms: now the filter
		// still drops the reset by which the host of a peer that is gone may answer.
		steps = append(steps, fin, fin)
	case sys.TCPLastAck:
		steps = append(steps, fin, shutdown)
	case sys.TCPClosing:
		steps = append(steps, shutdown, fin)
	default:
		return nil
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("bring it to state %d: %w", m.State, err)
		}
	}
	info, err := sys.GetsockoptBytes(f.fd, unix.IPPROTO_TCP, unix.TCP_INFO, 1)
	if err != nil {
		return err
	}
	if len(info) == 0 || uint32(info[0]) != m.State {
		return fmt.Errorf("it was in state %d and does not come further than to %d: is the interface lo up, and does a packet filter let packets through?", m.State, info)
	}
	return j.finishTCP(f.fd, m)
}

// resetTCP ends the connection, as its peer would by a reset. If it had ended
// before, the program has heard of that.
func (j *join) resetTCP(f *file) error {
	m := f.GetTcpConnection()
	if err := j.injectTCP(f, m.ReceiveSequence+uint32(len(m.ReceiveQueue)), m.SendSequence, packet.RST|packet.ACK); err != nil {
		return fmt.Errorf("end it: %w", err)
	}
	info, err := sys.GetsockoptBytes(f.fd, unix.IPPROTO_TCP, unix.TCP_INFO, 1)
	if err != nil {
		return err
	}
	if len(info) == 0 || info[0] != sys.TCPClose {
		return errors.New("it does not end: is the interface lo up, and does a packet filter let packets through?")
	}
	if m.State == sys.TCPClose {
		_, err = unix.GetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	}
	return err
}

// injectTCP sends a packet as from the peer of a connection.
func (j *join) injectTCP(f *file, sequence, acknowledgement uint32, flags byte) error {
	m := f.GetTcpConnection()
	from, to := addrPort(f.remote), addrPort(f.local)
	p := packet.TCP(packet.Segment{From: from, To: to, Sequence: sequence, Acknowledgement: acknowledgement, Flags: flags,
		Window: uint16(min(m.Window.GetSend()>>m.SendScale, 0xffff))})
	return j.sendRaw(to.Addr(), p, injectedMark)
}

func addrPort(a *format.InetAddress) netip.AddrPort {
	return netip.AddrPortFrom(netipAddr(a.Address).Unmap(), uint16(a.Port))
}

// sendRaw sends a whole packet inside the container.
func (j *join) sendRaw(to netip.Addr, p []byte, mark int) error {
	family, name := packet.Name(to)
	fd, err := j.socketInside(family, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark); err != nil {
			return err
		}
	}
	return unix.Sendto(fd, p, unix.MSG_DONTWAIT, name)
}

func restoreFilter(fd int, options []*format.SocketOption) error {
	for _, o := range options {
		if o.Level == unix.SOL_SOCKET && o.Name == unix.SO_ATTACH_FILTER {
			return sys.AttachFilter(fd, o.Value)
		}
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
}
