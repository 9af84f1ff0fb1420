package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/packet"
	"lxc-checkpoint/tracee"
)

func inetSocket(_ *Restart, f *file) (family, typ, protocol int, err error) {
	m := f.GetInetSocket()
	return int(m.Family), int(m.Type), int(m.Protocol), nil
}

// makeInet sets the options and binds the socket. It is connected when its queue
// is full: then it takes nothing from others any more.
func makeInet(ctx context.Context, r *Restart, f *file) (int, error) {
	m := f.GetInetSocket()
	if err := setOptions(f.fd, m.Options); err != nil {
		return f.fd, err
	}
	if m.Address != nil {
		if err := r.bindInet(ctx, f.fd, m.Address); err != nil {
			return f.fd, fmt.Errorf("bind it to %s: %w", inetName(m.Address), err)
		}
	}
	for _, g := range m.Memberships {
		if err := r.joinGroup(f.fd, g); err != nil {
			return f.fd, fmt.Errorf("make it a member of group %s on %s: %w", netipAddr(g.Group), g.Interface, err)
		}
	}
	return f.fd, setFlags(f.fd, f.Flags)
}

// joinGroup joins a multicast group (MCAST_JOIN_GROUP, ip(7)).
func (r *Restart) joinGroup(fd int, g *format.Membership) error {
	// struct group_req: the interface's number, and a sockaddr_storage.
	b := make([]byte, 8+128)
	index, err := interfaceIndex(fd, g.Interface)
	if err != nil {
		return err
	}
	binary.NativeEndian.PutUint32(b, uint32(index))
	level := unix.IPPROTO_IP
	if len(g.Group) == 4 {
		binary.NativeEndian.PutUint16(b[8:], unix.AF_INET)
		copy(b[12:], g.Group)
	} else {
		level = unix.IPPROTO_IPV6
		binary.NativeEndian.PutUint16(b[8:], unix.AF_INET6)
		copy(b[16:], g.Group)
	}
	return unix.SetsockoptString(fd, level, unix.MCAST_JOIN_GROUP, string(b))
}

// interfaceIndex is the number of an interface of the socket's network namespace.
func interfaceIndex(fd int, name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, fmt.Errorf("there is no such interface: %w", err)
	}
	return int(req.Uint32()), nil
}

// duplicateDetection is how long an IPv6 address that has just been given to an
// interface may be "tentative", when nothing can be bound to it: one second
// normally (RFC 4862, 5.4).
const duplicateDetection = 4 * time.Second

// bindInet binds a socket to an address of IP.
func (r *Restart) bindInet(ctx context.Context, fd int, a *format.InetAddress) error {
	to := sockaddr(a)
	err := unix.Bind(fd, to)
	if r.AsCopy && errors.Is(err, unix.EADDRNOTAVAIL) {
		return bindFree(fd, to)
	}
	for until := time.Now().Add(duplicateDetection); r.mayComeLate(a) && errors.Is(err, unix.EADDRNOTAVAIL) && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		err = unix.Bind(fd, to)
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return addressTaken(err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("no interface of the container has that address: give it back in the container's config (lxc.net): %w", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("needs CAP_NET_BIND_SERVICE in the container's network namespace: %w", err)
	}
	return err
}

// mayComeLate tells whether an address may be "tentative" yet: one of IPv6 that is
// none of IPv4 (::ffff:10.0.0.1).
func (r *Restart) mayComeLate(a *format.InetAddress) bool {
	return len(a.Address) == 16 && net.IP(a.Address).To4() == nil && !r.AsCopy
}

// bindFree binds a socket to an address that the container does not have, and may
// never have: nothing comes there.
func bindFree(fd int, to unix.Sockaddr) error {
	was, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND) // of IPv6, too
	if err != nil {
		return err
	}
	return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1), unix.Bind(fd, to),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, was))
}

func sockaddr(a *format.InetAddress) unix.Sockaddr {
	if len(a.Address) == 4 {
		return &unix.SockaddrInet4{Port: int(a.Port), Addr: [4]byte(a.Address)}
	}
	return &unix.SockaddrInet6{Port: int(a.Port), ZoneId: a.ScopeId, Addr: [16]byte(a.Address)}
}

// inetName is an address as ss(8) shows it: 10.0.0.1:80, [::1]:80.
func inetName(m *format.InetAddress) string {
	a := netipAddr(m.Address)
	if m.ScopeId != 0 {
		a = a.WithZone(strconv.Itoa(int(m.ScopeId)))
	}
	return netip.AddrPortFrom(a, uint16(m.Port)).String()
}

func netipAddr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// fillInet sends the socket what it had not read, and connects it.
func (j *join) fillInet(f *file) error {
	m := f.GetInetSocket()
	for _, d := range m.Queue {
		if err := j.inject(m, d); err != nil {
			return fmt.Errorf("send it the %d bytes from %s that it had not read: %w", len(d.Data), inetName(d.Sender), err)
		}
	}
	if len(m.Queue) > 0 {
		poll := []unix.PollFd{{Fd: int32(f.fd), Events: unix.POLLIN}}
		if err := retry(func() error { _, err := unix.Poll(poll, 1000); return err }); err != nil || poll[0].Revents&unix.POLLIN == 0 {
			return errors.New("what it had not read does not reach it: is the interface lo up, and does a packet filter let it through?")
		}
	}
	if m.Peer != nil {
		if err := unix.Connect(f.fd, sockaddr(m.Peer)); err != nil {
			return fmt.Errorf("connect it to %s (is there a route as at the checkpoint?): %w", inetName(m.Peer), err)
		}
	}
	if m.Shutdown == 0 {
		return nil
	}
	// Of one that is not connected the kernel says so, and does it all the same
	// (inet_shutdown, net/ipv4/af_inet.c).
	if err := unix.Shutdown(f.fd, int(m.Shutdown)-1); err != nil && !errors.Is(err, unix.ENOTCONN) {
		return fmt.Errorf("shut it down: %w", err)
	}
	return nil
}

// inject sends a datagram to a socket of the container, as from its sender: the
// whole packet is made here, for whom that is may be anywhere.
func (j *join) inject(m *format.InetSocket, d *format.InetDatagram) error {
	from, to := netipAddr(d.Sender.Address).Unmap(), netipAddr(m.Address.GetAddress()).Unmap()
	if !to.IsValid() || to.IsUnspecified() || to.Is4() != from.Is4() {
		to = netip.IPv6Loopback()
		if from.Is4() {
			to = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	return j.sendRaw(to, packet.UDP(from, to, uint16(d.Sender.Port), uint16(m.Address.GetPort()), byte(m.Protocol), d.Data), 0)
}

// socketInside has the container's first process make a socket for us.
func (j *join) socketInside(family, typ, protocol int) (int, error) {
	calls := []tracee.Call{{Nr: unix.SYS_SOCKET, Args: [6]uint64{uint64(family), uint64(typ) | unix.SOCK_CLOEXEC, uint64(protocol)}}}
	if err := runChecked(j.root, calls); err != nil {
		return -1, err
	}
	fd, err := j.root.Take(int(calls[0].Result))
	if err != nil {
		return -1, err
	}
	if err := runChecked(j.root, []tracee.Call{shut(int(calls[0].Result))}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
