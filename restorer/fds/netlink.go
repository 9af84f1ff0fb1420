package fds

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

func netlinkSocket(_ *Restart, f *file) (family, typ, protocol int, err error) {
	m := f.GetNetlinkSocket()
	return unix.AF_NETLINK, int(m.Type), int(m.Protocol), nil
}

// makeNetlink binds the socket, sets its options and makes it a member of its
// groups.
func makeNetlink(_ context.Context, _ *Restart, f *file) (int, error) {
	m := f.GetNetlinkSocket()
	if m.Port != 0 {
		err := unix.Bind(f.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: m.Port})
		if errors.Is(err, unix.EADDRINUSE) {
			err = fmt.Errorf("another socket of the container's network namespace has that number: end its process: %w", err)
		}
		if err != nil {
			return f.fd, fmt.Errorf("bind it to port %d: %w", m.Port, err)
		}
	}
	if m.Acknowledged != nil {
		if err := acknowledge(f.fd, m.Acknowledged); err != nil {
			return f.fd, fmt.Errorf("have its last request acknowledged again: %w", err)
		}
	}
	if err := setOptions(f.fd, m.Options); err != nil {
		return f.fd, err
	}
	for _, g := range m.Groups {
		if err := unix.SetsockoptInt(f.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(g)); err != nil {
			return f.fd, fmt.Errorf("make it a member of group %d: %w", g, err)
		}
	}
	if m.PeerPort != 0 || m.PeerGroups != 0 {
		if err := unix.Connect(f.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: m.PeerPort, Groups: m.PeerGroups}); err != nil {
			return f.fd, fmt.Errorf("connect it to port %d: %w", m.PeerPort, err)
		}
	}
	return f.fd, setFlags(f.fd, f.Flags)
}
