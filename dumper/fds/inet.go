package fds

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// Numbers of include/uapi/linux/{in,in6,udp}.h that x/sys lacks.
const (
	ipMulticastAll       = 49
	ipUnicastIf          = 50
	ipLocalPortRange     = 51
	ipRecvFragSize       = 25
	ipv6MulticastAll     = 29
	ipv6UnicastIf        = 76
	udpNoCheckTX         = 101
	udpNoCheckRX         = 102
	udpSegment           = 103
	udpliteSendCoverage  = 10
	udpliteRecvCoverage  = 11
	solRaw, solUDPLite   = 255, 136
	icmpFilter           = 1
	icmpv6Filter         = 1
	ipv6FlowInfoSend     = 33
	ipv6MinHopCount      = 73
	ipv6RecvOrigDstAddr  = 74
	ipMinTTL, ipNoDefrag = 21, 22
)

var datagramOptionsV4 = []option{
	{unix.IPPROTO_IP, unix.IP_RECVERR, 4}, {unix.IPPROTO_IP, unix.IP_PKTINFO, 4}, {unix.IPPROTO_IP, unix.IP_RECVTTL, 4},
	{unix.IPPROTO_IP, unix.IP_RECVTOS, 4}, {unix.IPPROTO_IP, unix.IP_RECVOPTS, 4}, {unix.IPPROTO_IP, unix.IP_RETOPTS, 4},
	{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, 4}, {unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 4}, {unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 4},
	{unix.IPPROTO_IP, ipMulticastAll, 4}, {unix.IPPROTO_IP, ipUnicastIf, 4}, {unix.IPPROTO_IP, unix.IP_RECVORIGDSTADDR, 4},
	{unix.IPPROTO_IP, ipMinTTL, 4}, {unix.IPPROTO_IP, ipNoDefrag, 4}, {unix.IPPROTO_IP, unix.IP_CHECKSUM, 4},
	{unix.IPPROTO_IP, ipRecvFragSize, 4}, {unix.IPPROTO_IP, ipLocalPortRange, 4}, {unix.IPPROTO_IP, unix.IP_OPTIONS, 40},
	{unix.IPPROTO_IP, unix.IP_HDRINCL, 4},
}

var datagramOptionsV6 = []option{
	{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 4}, {unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 4}, {unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 4},
	{unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 4}, {unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, 4}, {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, 4},
	{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 4}, {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 4}, {unix.IPPROTO_IPV6, ipv6MulticastAll, 4},
	{unix.IPPROTO_IPV6, ipv6UnicastIf, 4}, {unix.IPPROTO_IPV6, unix.IPV6_AUTOFLOWLABEL, 4}, {unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 4},
	{unix.IPPROTO_IPV6, unix.IPV6_ADDR_PREFERENCES, 4}, {unix.IPPROTO_IPV6, ipv6MinHopCount, 4}, {unix.IPPROTO_IPV6, unix.IPV6_RECVRTHDR, 4},
	{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPOPTS, 4}, {unix.IPPROTO_IPV6, unix.IPV6_RECVDSTOPTS, 4}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPATHMTU, 4},
	{unix.IPPROTO_IPV6, ipv6RecvOrigDstAddr, 4}, {unix.IPPROTO_IPV6, ipv6FlowInfoSend, 4}, {unix.IPPROTO_IP, unix.IP_PKTINFO, 4},
	{unix.IPPROTO_IP, unix.IP_RECVERR, 4}, {unix.IPPROTO_IP, unix.IP_TOS, 4}, {unix.IPPROTO_IP, unix.IP_TTL, 4},
}

var udpOptions = []option{
	{unix.IPPROTO_UDP, unix.UDP_CORK, 4}, {unix.IPPROTO_UDP, unix.UDP_ENCAP, 4}, {unix.IPPROTO_UDP, udpNoCheckTX, 4},
	{unix.IPPROTO_UDP, udpNoCheckRX, 4}, {unix.IPPROTO_UDP, udpSegment, 4}, {unix.IPPROTO_UDP, unix.UDP_GRO, 4},
}

var udpliteOptions = []option{{solUDPLite, udpliteSendCoverage, 4}, {solUDPLite, udpliteRecvCoverage, 4}}

var rawOptions = []option{{solRaw, icmpFilter, 4}, {unix.IPPROTO_ICMPV6, icmpv6Filter, 32}, {unix.IPPROTO_IPV6, unix.IPV6_CHECKSUM, 4}}

// lookInet saves a socket of UDP, UDP-Lite, raw IP or ICMP.
func (w *walk) lookInet(f *file, fd, domain, typ, protocol int) error {
	s := &format.InetSocket{Family: uint32(domain), Type: uint32(typ), Protocol: uint32(protocol)}
	f.Kind = &format.OpenFile_InetSocket{InetSocket: s}
	udp := typ == unix.SOCK_DGRAM && (protocol == unix.IPPROTO_UDP || protocol == unix.IPPROTO_UDPLITE)
	kind := socketName(domain, typ, protocol) + " socket"
	if err := f.checkQuiet(fd, kind); err != nil {
		if !udp || !isUnread(fd) {
			return err
		}
		if err := w.peekDatagrams(fd, s); err != nil {
			return fmt.Errorf("look at what is unread in it: %w", err)
		}
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	if s.Address = inetAddress(name); typ == unix.SOCK_DGRAM && s.Address.Port == 0 || typ == unix.SOCK_RAW && isAny(s.Address) {
		s.Address = nil
	}
	peer, err := unix.Getpeername(fd)
	switch {
	case err == nil:
		s.Peer = inetAddress(peer)
	case !errors.Is(err, unix.ENOTCONN):
		return err
	}
	if typ == unix.SOCK_RAW && s.Address != nil {
		s.Address.Port = 0 // which is its protocol
	}
	if !udp {
		if s.Peer, err = w.portlessPeer(f, domain, typ); err != nil {
			return err
		}
	}
	lists := [][]option{socketOptions, ipv4Options, datagramOptionsV4}
	if domain == unix.AF_INET6 {
		lists = [][]option{socketOptions, ipv6Options, datagramOptionsV6}
	}
	if typ == unix.SOCK_RAW {
		lists = append(lists, rawOptions)
	}
	if udp {
		lists = append(lists, udpOptions, udpliteOptions)
	}
	if s.Options, err = w.options(f, fd, [3]int{domain, typ, protocol}, lists...); err != nil {
		return err
	}
	if s.Shutdown, err = w.inetShut(f, fd, udp); err != nil {
		return err
	}
	return w.memberships(f, fd, kind, s)
}

// portlessPeer finds out what a raw or ping socket is connected to: getpeername(2)
// takes one whose peer has no port for not connected.
func (w *walk) portlessPeer(f *file, domain, typ int) (*format.InetAddress, error) {
	name := map[[2]int]string{
		{unix.AF_INET, unix.SOCK_RAW}: "raw", {unix.AF_INET6, unix.SOCK_RAW}: "raw6",
		{unix.AF_INET, unix.SOCK_DGRAM}: "icmp", {unix.AF_INET6, unix.SOCK_DGRAM}: "icmp6",
	}[[2]int{domain, typ}]
	return w.peerByInode(f, name)
}

// peerByInode finds a socket's peer in a file of /proc/net.
func (w *walk) peerByInode(f *file, name string) (*format.InetAddress, error) {
	all, err := procfs.ReadNetSockets(w.net.pid, name)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Inode == f.stat.Ino && !s.Remote.Addr().IsUnspecified() {
			return &format.InetAddress{Address: s.Remote.Addr().AsSlice(), Port: uint32(s.Remote.Port())}, nil
		}
	}
	return nil, nil
}

// isUnread says that there is something unread in a socket, and no error.
func isUnread(fd int) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	_, err := unix.Poll(poll, 0)
	return err == nil && poll[0].Revents&^(unix.POLLRDHUP|unix.POLLHUP) == unix.POLLIN
}

func isAny(a *format.InetAddress) bool {
	for _, b := range a.Address {
		if b != 0 {
			return false
		}
	}
	return true
}

func inetAddress(a unix.Sockaddr) *format.InetAddress {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return &format.InetAddress{Address: a.Addr[:], Port: uint32(a.Port)}
	case *unix.SockaddrInet6:
		return &format.InetAddress{Address: a.Addr[:], Port: uint32(a.Port), ScopeId: a.ZoneId}
	}
	return &format.InetAddress{}
}

// peekDatagrams reads what is unread in a UDP socket without consuming it.
func (w *walk) peekDatagrams(fd int, s *format.InetSocket) error {
	return w.peeking(fd, false, func() error {
		buf := make([]byte, 64<<10) // the most that a datagram holds
		for offset := 0; ; {
			p, err := peek(fd, offset, buf, len(buf))
			if errors.Is(err, unix.EAGAIN) {
				return nil
			}
			if err != nil {
				return err
			}
			offset += p.Size
			sender, err := rawInetAddress(p.Name)
			if err != nil {
				return err
			}
			s.Queue = append(s.Queue, &format.InetDatagram{Data: slices.Clone(buf[:p.Size]), Sender: sender})
		}
	})
}

// rawInetAddress reads struct sockaddr_in or sockaddr_in6.
func rawInetAddress(b []byte) (*format.InetAddress, error) {
	switch {
	case len(b) >= unix.SizeofSockaddrInet4 && binary.NativeEndian.Uint16(b) == unix.AF_INET:
		return &format.InetAddress{Address: slices.Clone(b[4:8]), Port: uint32(binary.BigEndian.Uint16(b[2:]))}, nil
	case len(b) >= unix.SizeofSockaddrInet6 && binary.NativeEndian.Uint16(b) == unix.AF_INET6:
		return &format.InetAddress{Address: slices.Clone(b[8:24]), Port: uint32(binary.BigEndian.Uint16(b[2:])), ScopeId: binary.NativeEndian.Uint32(b[24:])}, nil
	}
	return nil, fmt.Errorf("an address of %d bytes is none of IP", len(b))
}

// group is a multicast group that some socket of the network namespace is in.
type group struct {
	address []byte
	index   int
	name    string // of the interface
}

// memberships finds out which groups a socket is in. No call lists them, but the
// kernel lists those of all sockets (/proc/net/igmp), and tells the filter of a
// group to its members only (ip_mc_msfget, net/ipv4/igmp.c).
func (w *walk) memberships(f *file, fd int, kind string, s *format.InetSocket) error {
	groups, err := w.groupsOf(s.Family)
	if err != nil {
		return fmt.Errorf("read the multicast groups of the container: %w", err)
	}
	level := unix.IPPROTO_IP
	if s.Family == unix.AF_INET6 {
		level = unix.IPPROTO_IPV6
	}
	for _, g := range groups {
		// struct group_filter (include/uapi/linux/in.h) with room for one source.
		const at, modeAt, room = 8, 8 + 128, 8 + 128 + 8 + 128
		b := make([]byte, room)
		binary.NativeEndian.PutUint32(b, uint32(g.index))
		binary.NativeEndian.PutUint16(b[at:], uint16(s.Family))
		if len(g.address) == 4 {
			copy(b[at+4:], g.address)
		} else {
			copy(b[at+8:], g.address)
		}
		binary.NativeEndian.PutUint32(b[modeAt+4:], 1)
		b, err := sys.GetsockoptInOut(fd, level, unix.MCAST_MSFILTER, b)
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			continue
		}
		if err != nil {
			return fmt.Errorf("ask whether it is in a multicast group: %w", err)
		}
		mode, sources := binary.NativeEndian.Uint32(b[modeAt:]), binary.NativeEndian.Uint32(b[modeAt+4:])
		const exclude = 0 // MCAST_EXCLUDE
		if mode != exclude || sources != 0 {
			return f.refuse(kind, "it is in a multicast group with a list of sources", "have the program leave the group")
		}
		s.Memberships = append(s.Memberships, &format.Membership{Group: g.address, Interface: g.name})
	}
	return nil
}

// groupsOf lists the multicast groups of the container's network namespace.
func (w *walk) groupsOf(family uint32) ([]group, error) {
	if g, ok := w.net.multicast[family]; ok {
		return g, nil
	}
	name := map[uint32]string{unix.AF_INET: "igmp", unix.AF_INET6: "igmp6"}[family]
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", w.net.pid, name))
	if errors.Is(err, os.ErrNotExist) { // a kernel without multicast, or IPv6
		b, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	var groups []group
	index, device := 0, ""
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		switch {
		case family == unix.AF_INET6 && len(fields) >= 3:
			a, err := hex.DecodeString(fields[2])
			if err != nil || len(a) != 16 {
				return nil, fmt.Errorf("%q", line)
			}
			i, _ := strconv.Atoi(fields[0])
			groups = append(groups, group{a, i, fields[1]})
		case family == unix.AF_INET6 || len(fields) < 2 || fields[0] == "Idx":
		case line[0] != '\t' && line[0] != ' ':
			index, _ = strconv.Atoi(fields[0])
			device = fields[1]
		default:
			// The address as a number of the machine's own byte order.
			n, err := strconv.ParseUint(fields[0], 16, 32)
			if err != nil {
				return nil, fmt.Errorf("%q", line)
			}
			groups = append(groups, group{binary.NativeEndian.AppendUint32(nil, uint32(n)), index, device})
		}
	}
	w.net.multicast[family] = groups
	return groups, nil
}
