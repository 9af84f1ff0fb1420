package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
)

// withLoopback calls f with one who sends over the loopback interface of a socket's
// network namespace. The interface is up for as long.
func withLoopback(socket int, f func(l *looper) error) error {
	ns, err := unix.IoctlRetInt(socket, unix.SIOCGSKNS)
	if err != nil {
		return fmt.Errorf("ask for its network namespace: %w", err)
	}
	defer unix.Close(ns)
	return elsewhere.Run(func() (err error) {
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter its network namespace: %w", err)
		}
		l := &looper{}
		if l.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		defer unix.Close(l.fd)
		undo, err := l.up()
		if err != nil {
			return fmt.Errorf("set the loopback interface up: %w", err)
		}
		defer func() { err = errors.Join(err, undo()) }()
		return f(l)
	})
}

// up sets the interface up, and tells how it is set down again if it was down. A
// loopback interface that is set up gets its address by itself (inetdev_event,
// net/ipv4/devinet.c), and keeps that when it is set down.
func (l *looper) up() (undo func() error, err error) {
	name, err := sys.InterfaceName(l.fd, loopbackIndex)
	if err != nil {
		return nil, err
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlIfreq(l.fd, unix.SIOCGIFMTU, r); err != nil {
		return nil, err
	}
	const header, least, most = 14, 64, 16_000
	l.most = max(least, min(int(r.Uint32())+header, most))
	if err := unix.IoctlIfreq(l.fd, unix.SIOCGIFFLAGS, r); err != nil {
		return nil, err
	}
	flags := r.Uint16()
	if flags&unix.IFF_UP != 0 {
		return func() error { return nil }, nil
	}
	ip, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(ip)
	a, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	had := unix.IoctlIfreq(ip, unix.SIOCGIFADDR, a) == nil
	r.SetUint16(flags | unix.IFF_UP)
	if err := unix.IoctlIfreq(l.fd, unix.SIOCSIFFLAGS, r); err != nil {
		return nil, err
	}
	return func() error {
		r.SetUint16(flags)
		if err := unix.IoctlIfreq(l.fd, unix.SIOCSIFFLAGS, r); err != nil || had {
			return err
		}
		return removeAddress(name)
	}, nil
}

// removeAddress removes the interface's IPv4 address.
func removeAddress(name string) error {
	ip, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ip)
	a, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := a.SetInet4Addr(make([]byte, 4)); err != nil {
		return err
	}
	return unix.IoctlIfreq(ip, unix.SIOCSIFADDR, a)
}
