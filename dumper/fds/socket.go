package fds

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
)

// lookSocket finds out which socket it is.
func lookSocket(w *walk, f *file) error {
	fd, err := f.copy()
	if err != nil {
		return err
	}
	var domain, typ, protocol, listening int
	for _, o := range []struct {
		name int
		to   *int
	}{{unix.SO_DOMAIN, &domain}, {unix.SO_TYPE, &typ}, {unix.SO_PROTOCOL, &protocol}, {unix.SO_ACCEPTCONN, &listening}} {
		if *o.to, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, o.name); err != nil {
			return fmt.Errorf("ask the socket what it is: %w", err)
		}
	}
	if domain == unix.AF_UNIX && listening == 0 && w.isExternal(f) {
		return lookExternal(f, typ)
	}
	if err := w.enterNetwork(f, fd, socketName(domain, typ, protocol)); err != nil {
		return err
	}
	stream := (domain == unix.AF_INET || domain == unix.AF_INET6) && typ == unix.SOCK_STREAM
	tcp := stream && protocol == unix.IPPROTO_TCP
	multipath := stream && protocol == unix.IPPROTO_MPTCP
	switch {
	case (tcp || multipath) && listening == 1:
		return w.lookListener(f, fd, domain, protocol)
	case tcp:
		return w.lookTCP(f, fd, domain)
	case domain == unix.AF_UNIX:
		return w.lookUnix(f, fd, typ, listening == 1)
	case domain == unix.AF_NETLINK:
		return w.lookNetlink(f, fd, typ, protocol)
	case domain == unix.AF_PACKET && typ != unix.SOCK_PACKET:
		return w.lookPacket(f, fd, typ)
	case isDatagram(domain, typ, protocol):
		return w.lookInet(f, fd, domain, typ, protocol)
	}
	return f.refuse(socketName(domain, typ, protocol)+" socket", "sockets of this kind are not checkpointed yet", "have the program close it, or end it, before the checkpoint")
}

// isDatagram says whether it is a socket of UDP, UDP-Lite, raw IP or ICMP.
func isDatagram(domain, typ, protocol int) bool {
	if domain != unix.AF_INET && domain != unix.AF_INET6 {
		return false
	}
	switch protocol {
	case unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return typ == unix.SOCK_DGRAM || typ == unix.SOCK_RAW
	}
	return typ == unix.SOCK_RAW
}

func socketName(domain, typ, protocol int) string {
	families := map[int]string{
		unix.AF_UNIX: "UNIX", unix.AF_INET: "IPv4", unix.AF_INET6: "IPv6", unix.AF_NETLINK: "netlink", unix.AF_PACKET: "packet",
		unix.AF_VSOCK: "vsock", unix.AF_ALG: "AF_ALG", unix.AF_XDP: "XDP", unix.AF_BLUETOOTH: "bluetooth",
	}
	name, ok := families[domain]
	if !ok {
		return fmt.Sprintf("address family %d", domain)
	}
	if domain != unix.AF_INET && domain != unix.AF_INET6 {
		return name
	}
	protocols := map[int]string{
		unix.IPPROTO_UDP: "UDP", unix.IPPROTO_UDPLITE: "UDP-Lite", unix.IPPROTO_SCTP: "SCTP",
		unix.IPPROTO_MPTCP: "MPTCP", unix.IPPROTO_ICMP: "ICMP", unix.IPPROTO_ICMPV6: "ICMP",
	}
	if p, ok := protocols[protocol]; ok && typ != unix.SOCK_RAW {
		return name + " " + p
	}
	return name + " raw"
}

// option is a socket option that a program can set and read back.
type option struct{ level, name, size int }

const (
	soPassRights = 83 // SO_PASSRIGHTS, Linux 6.16
	soBufLock    = 72 // SO_BUF_LOCK, Linux 5.14
	// TCP_RTO_MAX_MS of Linux 6.15, TCP_RTO_MIN_US and TCP_DELACK_MAX_US of 6.16.
	tcpRTOMax, tcpRTOMin, tcpDelayedACKMax = 44, 45, 46
	bufLockSend                            = 1
	bufLockReceive                         = 2
	ipv6UnicastHops                        = unix.IPV6_UNICAST_HOPS
)

var socketOptions = []option{
	{unix.SOL_SOCKET, unix.SO_REUSEADDR, 4}, {unix.SOL_SOCKET, unix.SO_REUSEPORT, 4},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 4}, {unix.SOL_SOCKET, unix.SO_OOBINLINE, 4},
	{unix.SOL_SOCKET, unix.SO_BROADCAST, 4}, {unix.SOL_SOCKET, unix.SO_DONTROUTE, 4},
	{unix.SOL_SOCKET, unix.SO_PRIORITY, 4}, {unix.SOL_SOCKET, unix.SO_MARK, 4},
	{unix.SOL_SOCKET, unix.SO_RCVLOWAT, 4}, {unix.SOL_SOCKET, unix.SO_LINGER, 8},
	{unix.SOL_SOCKET, unix.SO_RCVTIMEO, 16}, {unix.SOL_SOCKET, unix.SO_SNDTIMEO, 16},
	{unix.SOL_SOCKET, unix.SO_TIMESTAMP, 4}, {unix.SOL_SOCKET, unix.SO_BUSY_POLL, 4},
	{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 4}, {unix.SOL_SOCKET, unix.SO_TIMESTAMP_NEW, 4}, {unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 4},
	{unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 4}, {unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 4}, {unix.SOL_SOCKET, unix.SO_WIFI_STATUS, 4},
	{unix.SOL_SOCKET, unix.SO_NOFCS, 4}, {unix.SOL_SOCKET, unix.SO_SELECT_ERR_QUEUE, 4}, {unix.SOL_SOCKET, unix.SO_BINDTODEVICE, 16},
	{unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, 8}, {unix.SOL_SOCKET, unix.SO_ZEROCOPY, 4}, {unix.SOL_SOCKET, unix.SO_TXREHASH, 4},
	{unix.SOL_SOCKET, unix.SO_RCVMARK, 4}, {unix.SOL_SOCKET, unix.SO_PREFER_BUSY_POLL, 4}, {unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 4},
	{unix.SOL_SOCKET, unix.SO_BUSY_POLL_BUDGET, 4}, {unix.SOL_SOCKET, unix.SO_RESERVE_MEM, 4},
}

var unixOptions = []option{
	{unix.SOL_SOCKET, unix.SO_PASSCRED, 4}, {unix.SOL_SOCKET, unix.SO_PASSSEC, 4}, {unix.SOL_SOCKET, unix.SO_PEEK_OFF, 4},
	{unix.SOL_SOCKET, unix.SO_PASSPIDFD, 4}, {unix.SOL_SOCKET, soPassRights, 4},
}

var tcpOptions = []option{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 4}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 4},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 4}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 4},
	{unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 4}, {unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 4},
	{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 4}, {unix.IPPROTO_TCP, unix.TCP_CONGESTION, 16},
	{unix.IPPROTO_TCP, unix.TCP_SYNCNT, 4}, {unix.IPPROTO_TCP, unix.TCP_LINGER2, 4},
	{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 4}, {unix.IPPROTO_TCP, unix.TCP_QUICKACK, 4},
	{unix.IPPROTO_TCP, tcpRTOMax, 4}, {unix.IPPROTO_TCP, tcpRTOMin, 4}, {unix.IPPROTO_TCP, tcpDelayedACKMax, 4},
}

// listenerOptions are those that a connection does not tell.
var listenerOptions = []option{
	{unix.IPPROTO_TCP, unix.TCP_MAXSEG, 4}, {unix.IPPROTO_TCP, unix.TCP_SAVE_SYN, 4},
	{unix.IPPROTO_TCP, unix.TCP_FASTOPEN_NO_COOKIE, 4}, {unix.IPPROTO_TCP, unix.TCP_FASTOPEN_KEY, 32},
}

// streamOptions are those of IP that make sense to TCP, too.
var streamOptions = map[int][]option{
	unix.AF_INET: {{unix.IPPROTO_IP, ipMinTTL, 4}, {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, 4}, {unix.IPPROTO_IP, ipLocalPortRange, 4}, {unix.IPPROTO_IP, unix.IP_RECVERR, 4}},
	unix.AF_INET6: {{unix.IPPROTO_IPV6, ipv6MinHopCount, 4}, {unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, 4}, {unix.IPPROTO_IPV6, unix.IPV6_AUTOFLOWLABEL, 4},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 4}, {unix.IPPROTO_IP, ipMinTTL, 4}, {unix.IPPROTO_IP, unix.IP_TOS, 4}, {unix.IPPROTO_IP, unix.IP_TTL, 4}},
}

var ipv4Options = []option{
	{unix.IPPROTO_IP, unix.IP_TOS, 4}, {unix.IPPROTO_IP, unix.IP_TTL, 4},
	{unix.IPPROTO_IP, unix.IP_FREEBIND, 4}, {unix.IPPROTO_IP, unix.IP_TRANSPARENT, 4},
	{unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 4},
}

var ipv6Options = []option{
	{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 4}, {unix.IPPROTO_IPV6, ipv6UnicastHops, 4},
	{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 4}, {unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 4},
	{unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT, 4},
}

// options saves the options that differ from a new socket's, in the order to
// set them. What this kernel does not know, the program can't have set.
func (w *walk) options(f *file, fd int, socket [3]int, lists ...[]option) ([]*format.SocketOption, error) {
	fresh, err := w.freshSocket(socket)
	if err != nil {
		return nil, err
	}
	var out []*format.SocketOption
	for _, list := range lists {
		for _, o := range list {
			have, err := sys.GetsockoptBytes(fd, o.level, o.name, o.size)
			if err != nil {
				continue
			}
			if normal, err := sys.GetsockoptBytes(fresh, o.level, o.name, o.size); err == nil && string(normal) == string(have) {
				continue
			}
			out = append(out, &format.SocketOption{Level: int32(o.level), Name: int32(o.name), Value: have})
		}
	}
	out = priorityLast(fd, out)
	if out, err = w.filter(f, fd, out); err != nil {
		return nil, err
	}
	return w.buffers(fd, out)
}

// priorityLast has the priority set after IP_TOS, which sets it, too (ip(7)).
func priorityLast(fd int, options []*format.SocketOption) []*format.SocketOption {
	sets := func(o *format.SocketOption) bool { return o.Level == unix.IPPROTO_IP && o.Name == unix.IP_TOS }
	is := func(o *format.SocketOption) bool { return o.Level == unix.SOL_SOCKET && o.Name == unix.SO_PRIORITY }
	if !slices.ContainsFunc(options, sets) {
		return options
	}
	priority, err := sys.GetsockoptBytes(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, 4)
	if err != nil {
		return options
	}
	return append(slices.DeleteFunc(options, is), &format.SocketOption{Level: unix.SOL_SOCKET, Name: unix.SO_PRIORITY, Value: priority})
}

// filter saves a filter of incoming packets (SO_ATTACH_FILTER). One of eBPF is
// not told.
func (w *walk) filter(f *file, fd int, out []*format.SocketOption) ([]*format.SocketOption, error) {
	const instruction, most = 8, 4096 // struct sock_filter; BPF_MAXINSNS
	code, n, err := sys.SocketFilter(fd, instruction*most)
	if errors.Is(err, unix.EACCES) {
		return nil, f.refuse("socket", "it has an eBPF program as its filter (SO_ATTACH_BPF), which is not checkpointed", "have the program detach it")
	}
	if err != nil || n == 0 { // none, or of a kind that takes none
		return out, nil
	}
	return append(out, &format.SocketOption{Level: unix.SOL_SOCKET, Name: unix.SO_ATTACH_FILTER, Value: code[:n*instruction]}), nil
}

// buffers saves buffer sizes that the program has set; the kernel doubles what
// it is given (socket(7)).
func (w *walk) buffers(fd int, out []*format.SocketOption) ([]*format.SocketOption, error) {
	locked, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, soBufLock)
	if err != nil {
		return out, nil // before Linux 5.14 nobody can tell
	}
	for _, b := range []struct{ bit, name int }{{bufLockSend, unix.SO_SNDBUF}, {bufLockReceive, unix.SO_RCVBUF}} {
		if locked&b.bit == 0 {
			continue
		}
		size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, b.name)
		if err != nil {
			return nil, err
		}
		out = append(out, &format.SocketOption{Level: unix.SOL_SOCKET, Name: int32(b.name), Value: sys.IntBytes(size / 2)})
	}
	return out, nil
}

// freshSocket is a new socket to compare with.
func (w *walk) freshSocket(s [3]int) (int, error) {
	if fd, ok := w.net.fresh[s]; ok {
		return fd, nil
	}
	fd := -1
	err := elsewhere.InNetwork(w.net.pid, func() (err error) {
		fd, err = unix.Socket(s[0], s[1]|unix.SOCK_CLOEXEC, s[2])
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("make a socket to compare with: %w", err)
	}
	w.net.fresh[s] = fd
	return fd, nil
}

// lookListener saves a listening TCP socket.
func (w *walk) lookListener(f *file, fd, domain, protocol int) error {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return err
	}
	// Of a listening socket the kernel tells the accept queue and its limit in
	// these two (tcp_get_info, net/ipv4/tcp.c).
	waiting, backlog := info.Unacked, info.Sacked
	if waiting > 0 && (w.RefuseTCP || protocol == unix.IPPROTO_MPTCP || w.net != w.own) {
		return f.refuse(listenerKind, fmt.Sprintf("%d connections wait to be accepted", waiting), "have the program accept them, or the peers disconnect")
	}
	l := &format.TcpListener{Family: uint32(domain), Backlog: backlog, Multipath: protocol == unix.IPPROTO_MPTCP}
	f.Kind = &format.OpenFile_TcpListener{TcpListener: l}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	own := ipv4Options
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		l.Address, l.Port = a.Addr[:], uint32(a.Port)
	case *unix.SockaddrInet6:
		l.Address, l.Port, l.ScopeId = a.Addr[:], uint32(a.Port), a.ZoneId
		own = ipv6Options
	default:
		return fmt.Errorf("a TCP socket with an address of kind %T", name)
	}
	l.Options, err = w.options(f, fd, [3]int{domain, unix.SOCK_STREAM, protocol}, socketOptions, own, streamOptions[domain], tcpOptions, listenerOptions)
	if err == nil && waiting > 0 {
		w.listeners = append(w.listeners, &listener{f, l, waiting})
	}
	return err
}
