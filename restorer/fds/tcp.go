package fds

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// tcpSocket says which socket a TCP listener is.
func tcpSocket(_ *Restart, f *file) (family, typ, protocol int, err error) {
	m := f.GetTcpListener()
	size := map[uint32]int{unix.AF_INET: 4, unix.AF_INET6: 16}[m.Family]
	if size == 0 || len(m.Address) != size || m.Port == 0 || m.Port > 0xffff {
		return 0, 0, 0, fmt.Errorf("the image has a listener of family %d, address % x, port %d, which makes no sense", m.Family, m.Address, m.Port)
	}
	protocol = unix.IPPROTO_TCP
	if m.Multipath {
		protocol = unix.IPPROTO_MPTCP
	}
	return int(m.Family), unix.SOCK_STREAM, protocol, nil
}

// makeTCPListener sets the options, binds and listens.
func makeTCPListener(ctx context.Context, r *Restart, f *file) (int, error) {
	m := f.GetTcpListener()
	if err := setOptions(f.fd, m.Options); err != nil {
		return f.fd, err
	}
	if err := bindTCP(ctx, f.fd, m); err != nil {
		return f.fd, fmt.Errorf("bind it to %s: %w", tcpName(m), err)
	}
	if err := unix.Listen(f.fd, int(m.Backlog)); err != nil {
		if errors.Is(err, unix.EADDRINUSE) {
			err = addressTaken(err)
		}
		return f.fd, fmt.Errorf("listen on %s: %w", tcpName(m), err)
	}
	return f.fd, setFlags(f.fd, f.Flags)
}

// duplicateDetection is how long an IPv6 address that has just been given to an
// interface may be "tentative", when nothing can be bound to it: one second
// normally (RFC 4862, 5.4).
const duplicateDetection = 4 * time.Second

// bindTCP binds the socket.
func bindTCP(ctx context.Context, fd int, m *format.TcpListener) error {
	var to unix.Sockaddr
	if m.Family == unix.AF_INET {
		to = &unix.SockaddrInet4{Port: int(m.Port), Addr: [4]byte(m.Address)}
	} else {
		to = &unix.SockaddrInet6{Port: int(m.Port), ZoneId: m.ScopeId, Addr: [16]byte(m.Address)}
	}
	err := unix.Bind(fd, to)
	for until := time.Now().Add(duplicateDetection); m.Family == unix.AF_INET6 && errors.Is(err, unix.EADDRNOTAVAIL) && time.Now().Before(until); {
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

func addressTaken(err error) error {
	return fmt.Errorf("another socket of the container's network namespace has that address: end the process that listens there (ss -ltnp shows it), or wait a minute if only ended connections are left (ss -tan state time-wait): %w", err)
}

// tcpName is the address as ss(8) shows it: 10.0.0.1:80, [::1]:80.
func tcpName(m *format.TcpListener) string {
	a, ok := netip.AddrFromSlice(m.Address)
	if !ok {
		return fmt.Sprintf("% x", m.Address)
	}
	if m.ScopeId != 0 {
		a = a.WithZone(strconv.Itoa(int(m.ScopeId)))
	}
	return netip.AddrPortFrom(a, uint16(m.Port)).String()
}
