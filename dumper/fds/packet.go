package fds

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// Options of packet(7) that can be read back. VERSION comes before RESERVE, which
// is counted in that version's headers.
var packetOptions = []option{
	{unix.SOL_PACKET, unix.PACKET_AUXDATA, 4}, {unix.SOL_PACKET, unix.PACKET_ORIGDEV, 4}, {unix.SOL_PACKET, unix.PACKET_VERSION, 4},
	{unix.SOL_PACKET, unix.PACKET_RESERVE, 4}, {unix.SOL_PACKET, unix.PACKET_LOSS, 4}, {unix.SOL_PACKET, unix.PACKET_VNET_HDR, 4},
	{unix.SOL_PACKET, unix.PACKET_TIMESTAMP, 4}, {unix.SOL_PACKET, unix.PACKET_TX_HAS_OFF, 4}, {unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 4},
	{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 4}, {unix.SOL_PACKET, unix.PACKET_VNET_HDR_SZ, 4},
	{unix.SOL_PACKET, unix.PACKET_COPY_THRESH, 4}, // told since Linux 6.9
}

// lookPacket saves a packet socket, as dhclient has one. Frames that lie unread and
// not in a ring can't be put back: they are lost, as on an interface that nobody
// listens at for a moment.
func (w *walk) lookPacket(f *file, fd, typ int) error {
	const end = "have the program close it, or end it, before the checkpoint"
	poll := []unix.PollFd{{Fd: int32(fd)}}
	if _, err := unix.Poll(poll, 0); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	if poll[0].Revents&unix.POLLERR != 0 {
		return f.refuseNow("packet socket", "it has an error that the program has not heard of yet", "let the program go on until it has read it")
	}
	diag, err := w.packetDiag(f.stat.Ino)
	if err != nil {
		return fmt.Errorf("ask the kernel about the packet socket (sock_diag; needs CONFIG_PACKET_DIAG): %w", err)
	}
	a, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	at, ok := a.(*unix.SockaddrLinklayer)
	if !ok {
		return fmt.Errorf("a packet socket with an address of kind %T", a)
	}
	s := &format.PacketSocket{Type: uint32(typ), Protocol: uint32(bits.ReverseBytes16(at.Protocol)), Interface: uint32(at.Ifindex)}
	f.Kind = &format.OpenFile_PacketSocket{PacketSocket: s}
	if s.Interface != 0 {
		if s.Name, err = sys.InterfaceName(fd, s.Interface); errors.Is(err, unix.ENODEV) {
			return f.refuse("packet socket", fmt.Sprintf("interface %d, to which it is bound, is gone", s.Interface), end)
		} else if err != nil {
			return err
		}
	}
	for _, m := range diag.memberships {
		if m.Name, err = sys.InterfaceName(fd, m.Interface); errors.Is(err, unix.ENODEV) {
			continue
		} else if err != nil {
			return err
		}
		s.Memberships = append(s.Memberships, m)
	}
	fanout, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return fmt.Errorf("ask for its group (PACKET_FANOUT): %w", err)
	}
	if kind := fanout >> 16 & 0xff; kind == unix.PACKET_FANOUT_CBPF || kind == unix.PACKET_FANOUT_EBPF {
		return f.refuse("packet socket", "a program chooses who of its group gets a frame (PACKET_FANOUT_CBPF, PACKET_FANOUT_EBPF), and the kernel does not tell it", end)
	}
	s.Fanout = uint32(fanout)
	if s.Options, err = w.options(f, fd, [3]int{unix.AF_PACKET, typ, 0}, socketOptions, packetOptions); err != nil {
		return err
	}
	return w.lookPacketRings(f, fd, s, diag)
}
