// Package links keeps the network interfaces of a container silent while its
// sockets are not there to answer, and tells the network when they are back.
package links

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
)

// Disconnect sets the interfaces of a process's network namespace down, but lo: so
// nothing that still comes for the container is answered by its kernel (with a
// reset, once the sockets are gone). undo sets them up again; routes by way of
// them may be lost then.
func Disconnect(pid int) (undo func(), err error) {
	var down []string
	err = inNetwork(pid, func(fd int) error {
		links, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.Flags&net.FlagLoopback != 0 || l.Flags&net.FlagUp == 0 {
				continue
			}
			if err := setUp(fd, l.Name, false); err != nil {
				return err
			}
			down = append(down, l.Name)
		}
		return nil
	})
	undo = func() {
		_ = inNetwork(pid, func(fd int) error {
			var errs []error
			for _, name := range down {
				errs = append(errs, setUp(fd, name, true))
			}
			return errors.Join(errs...)
		})
	}
	if err != nil {
		undo()
		return nil, fmt.Errorf("take the container from its network, so that its peers hear nothing until it is back: %w", err)
	}
	return undo, nil
}

// inNetwork runs f in the network namespace of a process, with a socket of it.
func inNetwork(pid int, f func(fd int) error) error {
	return elsewhere.InNetwork(pid, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return f(fd)
	})
}

func setUp(fd int, name string, up bool) error {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return err
	}
	flags := req.Uint16() &^ unix.IFF_UP
	if up {
		flags |= unix.IFF_UP
	}
	req.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}
