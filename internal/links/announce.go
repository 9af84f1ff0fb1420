package links

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
)

// Announce tells the network where the addresses of a process's network
// namespace are now: switches and neighbours may know them at another port, or of
// another interface, and a container that only waits to be spoken to tells them
// nothing. Each IPv4 address is announced by a gratuitous ARP (RFC 5227, 3), each
// IPv6 address by an unsolicited neighbour advertisement (RFC 4861, 7.2.6).
func Announce(pid int) error {
	return elsewhere.InNetwork(pid, func() error {
		all, err := net.Interfaces()
		if err != nil {
			return err
		}
		var errs []error
		for _, l := range all {
			if l.Flags&net.FlagLoopback != 0 || l.Flags&net.FlagUp == 0 || l.Flags&net.FlagBroadcast == 0 || len(l.HardwareAddr) != 6 {
				continue
			}
			if err := announce(&l); err != nil {
				errs = append(errs, fmt.Errorf("announce the addresses of interface %s: %w", l.Name, err))
			}
		}
		return errors.Join(errs...)
	})
}

func announce(l *net.Interface) error {
	addresses, err := l.Addrs()
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, a := range addresses {
		ip, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		frame := advertisement(l.HardwareAddr, ip.IP)
		if four := ip.IP.To4(); four != nil {
			frame = gratuitousARP(l.HardwareAddr, four)
		}
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
			return err
		}
	}
	return nil
}

// gratuitousARP is an Ethernet frame to all: who has this address? It is at mac.
func gratuitousARP(mac net.HardwareAddr, ip net.IP) []byte {
	frame := ethernet(bytes.Repeat([]byte{0xff}, 6), mac, unix.ETH_P_ARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, their lengths; a request
	frame = append(append(frame, mac...), ip...)
	return append(append(frame, 0, 0, 0, 0, 0, 0), ip...)
}

// advertisement is an Ethernet frame to all nodes of the link: this address is at
// mac.
func advertisement(mac net.HardwareAddr, ip net.IP) []byte {
	allNodes := net.ParseIP("ff02::1")
	message := []byte{136, 0, 0, 0, 0x20, 0, 0, 0} // override what is known
	message = append(append(message, ip...), 2, 1) // target link-layer address
	message = append(message, mac...)
	binary.BigEndian.PutUint16(message[2:], checksum(ip, allNodes, message))

	frame := ethernet(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, mac, unix.ETH_P_IPV6)
	frame = append(frame, 0x60, 0, 0, 0, 0, byte(len(message)), unix.IPPROTO_ICMPV6, 255)
	frame = append(append(frame, ip...), allNodes...)
	return append(frame, message...)
}

func ethernet(to, from net.HardwareAddr, protocol uint16) []byte {
	return binary.BigEndian.AppendUint16(append(bytes.Clone(to), from...), protocol)
}

// checksum is that of an ICMPv6 message, its pseudo header included (RFC 4443, 2.3).
func checksum(from, to net.IP, message []byte) uint16 {
	pseudo := binary.BigEndian.AppendUint32(append(bytes.Clone(from), to...), uint32(len(message)))
	pseudo = append(append(pseudo, 0, 0, 0, unix.IPPROTO_ICMPV6), message...)
	sum := uint32(0)
	for i := 0; i+1 < len(pseudo); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(pseudo[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
