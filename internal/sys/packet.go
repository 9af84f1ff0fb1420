package sys

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// PacketDiag is what sock_diag(7) tells of a packet socket
// (include/uapi/linux/packet_diag.h).
type PacketDiag struct {
	Rings       bool // it has a ring to receive or to send
	Memberships []PacketMembership
}

// PacketMembership is a struct packet_diag_mclist.
type PacketMembership struct {
	Interface, Count uint32
	Type             uint16
	Address          []byte
}

// PacketDiagGet asks for the packet socket with an inode number, over a socket of
// NETLINK_SOCK_DIAG. The kernel tells of all there are; nil: of none with that.
func PacketDiagGet(fd int, ino uint32) (*PacketDiag, error) {
	const (
		byFamily                = 20
		headerSize, requestSize = 16, 20
		show                    = 2 | 4 // MCLIST, RING_CFG
	)
	ne := binary.NativeEndian
	req := make([]byte, headerSize+requestSize)
	ne.PutUint32(req, uint32(len(req)))
	ne.PutUint16(req[4:], byFamily)
	ne.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	req[headerSize] = unix.AF_PACKET
	ne.PutUint32(req[headerSize+8:], show)
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var found *PacketDiag
	buf := make([]byte, 32768)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return nil, err
		}
		for b := buf[:n]; len(b) >= headerSize; {
			size := int(ne.Uint32(b))
			if size < headerSize || size > len(b) {
				return nil, errors.New("a short answer")
			}
			switch body := b[headerSize:size]; ne.Uint16(b[4:]) {
			case unix.NLMSG_DONE:
				return found, nil
			case unix.NLMSG_ERROR:
				if len(body) < 4 {
					return nil, errors.New("a short answer")
				}
				return nil, unix.Errno(-int32(ne.Uint32(body)))
			default:
				if len(body) >= 16 && ne.Uint32(body[4:]) == ino {
					found = packetDiag(body[16:])
				}
			}
			b = b[min(len(b), (size+3)&^3):]
		}
	}
}

func packetDiag(attrs []byte) *PacketDiag {
	const (
		members, receiveRing, sendRing = 1, 2, 3
		memberSize, addressAt          = 44, 12
	)
	ne := binary.NativeEndian
	d := &PacketDiag{}
	for len(attrs) >= 4 {
		size, typ := int(ne.Uint16(attrs)), ne.Uint16(attrs[2:])
		if size < 4 || size > len(attrs) {
			break
		}
		switch typ {
		case receiveRing, sendRing:
			d.Rings = true
		case members:
			for v := attrs[4:size]; len(v) >= memberSize; v = v[memberSize:] {
				length := min(int(ne.Uint16(v[10:])), memberSize-addressAt)
				d.Memberships = append(d.Memberships, PacketMembership{
					Interface: ne.Uint32(v), Count: ne.Uint32(v[4:]), Type: ne.Uint16(v[8:]), Address: append([]byte(nil), v[addressAt:addressAt+length]...),
				})
			}
		}
		attrs = attrs[min(len(attrs), (size+3)&^3):]
	}
	return d
}
