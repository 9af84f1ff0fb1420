package fds

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/netlink"
)

// packetDiag is what sock_diag(7) tells of a packet socket, beyond what its options
// do (include/uapi/linux/packet_diag.h).
type packetDiag struct {
	receive, send *format.PacketRing // but for TPACKET_V3's to send
	memberships   []*format.PacketMembership
}

// packetDiag asks sock_diag about a socket, in its network namespace: the kernel
// tells of all packet sockets there are.
func (w *walk) packetDiag(ino uint64) (*packetDiag, error) {
	const byFamily, headerSize, inodeAt = 20, 16, 4 // SOCK_DIAG_BY_FAMILY; struct packet_diag_msg
	ne := binary.NativeEndian
	request := make([]byte, 20) // struct packet_diag_req
	request[0] = unix.AF_PACKET
	ne.PutUint32(request[8:], 2|4) // PACKET_SHOW_MCLIST, PACKET_SHOW_RING_CFG
	var all []netlink.Message
	err := elsewhere.InNetwork(w.net.pid, func() error {
		c, err := netlink.Open(unix.NETLINK_SOCK_DIAG)
		if err != nil {
			return err
		}
		defer c.Close()
		all, err = c.Dump(byFamily, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if len(m.Body) >= headerSize && ne.Uint32(m.Body[inodeAt:]) == uint32(ino) {
			return parsePacketDiag(m.Body[headerSize:])
		}
	}
	return nil, errors.New("it knows no such socket")
}

func parsePacketDiag(b []byte) (*packetDiag, error) {
	const (
		members, receiveRing, sendRing = 1, 2, 3 // PACKET_DIAG_*
		size, addressAt                = 44, 12  // struct packet_diag_mclist
	)
	attributes, err := netlink.Parse(b)
	if err != nil {
		return nil, err
	}
	ne, d := binary.NativeEndian, &packetDiag{}
	for _, a := range attributes {
		switch a.Type {
		case receiveRing:
			d.receive = parseRing(a.Value)
		case sendRing:
			d.send = parseRing(a.Value)
		case members:
			for v := a.Value; len(v) >= size; v = v[size:] {
				length := min(int(ne.Uint16(v[10:])), size-addressAt)
				d.memberships = append(d.memberships, &format.PacketMembership{
					Interface: ne.Uint32(v), Count: ne.Uint32(v[4:]), Type: uint32(ne.Uint16(v[8:])), Address: v[addressAt : addressAt+length],
				})
			}
		}
	}
	return d, nil
}

// parseRing reads a struct packet_diag_ring.
func parseRing(b []byte) *format.PacketRing {
	var v [7]uint32
	for i := range v {
		if len(b) >= 4*i+4 {
			v[i] = binary.NativeEndian.Uint32(b[4*i:])
		}
	}
	return &format.PacketRing{BlockSize: v[0], Blocks: v[1], FrameSize: v[2], Frames: v[3], RetireMs: v[4], PrivateSize: v[5], Features: v[6]}
}
