package namespaces

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// setUp sets those network interfaces up that were. A fresh network namespace
// has its loopback down; the others are LXC's to make.
func setUp(root place.Process, links []*format.Link) error {
	socket, err := borrowSocket(root)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return nil // a kernel without IPv4 had none at the checkpoint either
	}
	if err != nil {
		return fmt.Errorf("open a socket in the container: %w", err)
	}
	defer unix.Close(socket)
	for _, l := range links {
		if err := bringUp(socket, l); err != nil {
			return err
		}
	}
	return nil
}

// bringUp sets an interface up that was, in the socket's network namespace.
func bringUp(socket int, l *format.Link) error {
	if !l.Up {
		return nil
	}
	r, err := unix.NewIfreq(l.Name)
	if err != nil {
		return fmt.Errorf("network interface %q: %w", l.Name, err)
	}
	err = unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, r)
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("the container had the network interface %s and has none of that name now: give it back in the container's config (lxc.net); a restart with --native makes none but lo", l.Name)
	}
	if err == nil && r.Uint16()&unix.IFF_UP == 0 {
		r.SetUint16(r.Uint16() | unix.IFF_UP)
		err = unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, r)
	}
	if err != nil {
		return fmt.Errorf("set the container's network interface %s up: %w", l.Name, err)
	}
	return nil
}

// borrowSocket makes a socket in the container's network namespace, in which
// it stays, and takes it out: so that no thread of ours has to go there.
func borrowSocket(p place.Process) (int, error) {
	there, err := p.Call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	fd, err := p.Take(int(there))
	if _, e := p.Call(unix.SYS_CLOSE, there); e != nil && err == nil {
		unix.Close(fd)
		err = e
	}
	return fd, err
}
