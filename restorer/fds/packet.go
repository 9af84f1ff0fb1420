package fds

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// packetSocket has it made with protocol 0: nothing comes to it until it is bound,
// behind its filter.
func packetSocket(_ *Restart, f *file) (family, typ, protocol int, err error) {
	return unix.AF_PACKET, int(f.GetPacketSocket().Type), 0, nil
}

// makePacket sets the options, makes it a member and makes its rings, in which the
// kernel is brought to where it was. An interface is found by its name, since LXC may
// have given it another number.
func makePacket(_ context.Context, r *Restart, f *file) (int, error) {
	m := f.GetPacketSocket()
	early, late := splitOptions(m.Options)
	if err := setOptions(f.fd, early); err != nil {
		return f.fd, err
	}
	for _, member := range m.Memberships {
		index, err := interfaceIndex(f.fd, member.Name)
		if err != nil {
			return f.fd, err
		}
		for range member.Count {
			if err := setOption(f.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, packetMreq(uint32(index), member.Type, member.Address)); err != nil {
				return f.fd, fmt.Errorf("make it a member of kind %d on %s: %w", member.Type, member.Name, err)
			}
		}
	}
	if m.RingContent != 0 {
		rings, err := makeRings(f.fd, m)
		if rings != nil {
			r.packetRings[m.RingContent] = rings
		}
		if err != nil {
			return f.fd, fmt.Errorf("its rings of frames: %w", err)
		}
	} else if err := setOptions(f.fd, late); err != nil {
		return f.fd, err
	}
	return f.fd, setFlags(f.fd, f.Flags)
}

// splitOptions tells those that are to be set before rings are made, and those that
// would keep the frames from them by which the kernel is brought to its place.
func splitOptions(all []*format.SocketOption) (early, late []*format.SocketOption) {
	for _, o := range all {
		switch {
		case o.Level == unix.SOL_SOCKET && (o.Name == unix.SO_ATTACH_FILTER || o.Name == unix.SO_LOCK_FILTER),
			o.Level == unix.SOL_PACKET && (o.Name == unix.PACKET_IGNORE_OUTGOING || o.Name == unix.PACKET_COPY_THRESH):
			late = append(late, o)
		default:
			early = append(early, o)
		}
	}
	return early, late
}

// armPacket binds it: from here on frames come. None did before, of those neither
// that other sockets were brought to their places by.
func armPacket(r *Restart, f *file) error {
	m := f.GetPacketSocket()
	rings := r.packetRings[m.RingContent]
	if rings != nil {
		rings.settle()
		defer rings.close()
	}
	if err := bindPacket(f, m); err != nil || rings == nil {
		return err
	}
	return rings.hear(f.fd, m)
}

func bindPacket(f *file, m *format.PacketSocket) error {
	if m.Protocol == 0 && m.Interface == 0 {
		return nil
	}
	index, err := 0, error(nil)
	if m.Interface != 0 {
		if index, err = interfaceIndex(f.fd, m.Name); err != nil {
			return err
		}
	}
	at := &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(uint16(m.Protocol)), Ifindex: index}
	if err := unix.Bind(f.fd, at); err != nil {
		return fmt.Errorf("bind it to protocol %#x on %q: %w", m.Protocol, m.Name, err)
	}
	if m.Fanout != 0 {
		const unique = unix.PACKET_FANOUT_FLAG_UNIQUEID << 16 // the kernel chose the number
		if err := unix.SetsockoptInt(f.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, int(m.Fanout&^unique)); err != nil {
			return fmt.Errorf("make it a member of fanout group %d: %w", m.Fanout&0xffff, err)
		}
	}
	return nil
}

// packetMreq is a struct packet_mreq_max: as packet_mreq, with a longer address.
func packetMreq(index, kind uint32, address []byte) []byte {
	const longest = 32
	ne := binary.NativeEndian
	b := ne.AppendUint32(nil, index)
	b = ne.AppendUint16(b, uint16(kind))
	b = ne.AppendUint16(b, uint16(len(address)))
	return append(append(b, address...), make([]byte, longest-len(address))...)
}
