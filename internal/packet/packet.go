// Package packet makes packets of IP, UDP and TCP, to be sent by a raw socket that
// takes whole ones.
package packet

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Flags of a TCP header (RFC 9293).
const (
	FIN = 1
	SYN = 2
	RST = 4
	PSH = 8
	ACK = 16
)

// Segment is one of TCP.
type Segment struct {
	From, To                  netip.AddrPort
	Sequence, Acknowledgement uint32
	Flags                     byte
	Window                    uint16
	Options                   []byte // whole words
	Data                      []byte
}

// TCP makes a packet of a segment with its IP header (RFC 9293).
func TCP(s Segment) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(nil, s.From.Port())
	b = be.AppendUint16(b, s.To.Port())
	b = be.AppendUint32(b, s.Sequence)
	b = be.AppendUint32(b, s.Acknowledgement)
	words := byte(5 + len(s.Options)/4)
	b = append(b, words<<4, s.Flags)
	b = be.AppendUint16(b, s.Window)
	b = append(b, 0, 0, 0, 0)
	b = append(append(b, s.Options...), s.Data...)
	from, to := s.From.Addr().Unmap(), s.To.Addr().Unmap()
	be.PutUint16(b[16:], transport(from, to, unix.IPPROTO_TCP, b))
	return IP(from, to, unix.IPPROTO_TCP, b)
}

// Name is the address to send a packet to, for a raw socket of its family.
func Name(to netip.Addr) (family int, name unix.Sockaddr) {
	if to = to.Unmap(); to.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Addr: to.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Addr: to.As16()}
}

// UDP makes a packet of UDP or UDP-Lite with its IP header (RFC 768, 791,
// 3828, 8200).
func UDP(from, to netip.Addr, sport, dport uint16, protocol byte, data []byte) []byte {
	be := binary.BigEndian
	udp := be.AppendUint16(nil, sport)
	udp = be.AppendUint16(udp, dport)
	length := uint16(8 + len(data))
	udp = be.AppendUint16(udp, length)
	udp = append(be.AppendUint16(udp, 0), data...)
	sum := transport(from, to, protocol, udp)
	if sum == 0 {
		sum = 0xffff
	}
	be.PutUint16(udp[6:], sum)
	return IP(from, to, protocol, udp)
}

// transport is that of a packet with its pseudo header.
func transport(from, to netip.Addr, protocol byte, body []byte) uint16 {
	pseudo := append(append([]byte{}, from.AsSlice()...), to.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(body)))
	pseudo = append(pseudo, 0, 0, 0, protocol)
	return checksum(append(pseudo, body...))
}

// IP puts an IP header before the body of a packet.
func IP(from, to netip.Addr, protocol byte, body []byte) []byte {
	be := binary.BigEndian
	const hops = 64
	var ip []byte
	if from.Is4() {
		ip = be.AppendUint16([]byte{0x45, 0}, uint16(20+len(body)))
		ip = append(ip, 0, 0, 0, 0, hops, protocol, 0, 0) // the kernel fills in the checksum
	} else {
		ip = be.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(body)))
		ip = append(ip, protocol, hops)
	}
	ip = append(append(ip, from.AsSlice()...), to.AsSlice()...)
	return append(ip, body...)
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
