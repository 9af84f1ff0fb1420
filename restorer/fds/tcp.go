package fds

import (
	"context"
	"errors"
	"fmt"

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
	if err := r.bindInet(ctx, f.fd, tcpAddress(m)); err != nil {
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

func addressTaken(err error) error {
	return fmt.Errorf("another socket of the container's network namespace has that address: end the process that listens there (ss -ltnp shows it), or wait a minute if only ended connections are left (ss -tan state time-wait): %w", err)
}

// tcpAddress is where a listener listens.
func tcpAddress(m *format.TcpListener) *format.InetAddress {
	return &format.InetAddress{Address: m.Address, Port: m.Port, ScopeId: m.ScopeId}
}

// tcpName is the address as ss(8) shows it.
func tcpName(m *format.TcpListener) string { return inetName(tcpAddress(m)) }
