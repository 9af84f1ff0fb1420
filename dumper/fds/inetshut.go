package fds

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/netlink"
)

// inetShut finds out which halves of a socket are shut (sk_shutdown): poll(2) tells
// that of receiving, and both together; sock_diag(7) the rest, of UDP.
func (w *walk) inetShut(f *file, fd int, udp bool) (uint32, error) {
	const receive, both = 1, 3
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if _, err := unix.Poll(poll, 0); err != nil {
		return 0, err
	}
	switch r := poll[0].Revents; {
	case r&unix.POLLHUP != 0:
		return both, nil
	case r&unix.POLLRDHUP != 0:
		return receive, nil
	case !udp:
		return 0, nil
	}
	if w.net.shut == nil {
		w.net.shut = map[uint32]uint8{}
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			if err := w.listShut(family); err != nil && !errors.Is(err, unix.ENOENT) { // no CONFIG_INET_UDP_DIAG
				return 0, err
			}
		}
	}
	return uint32(w.net.shut[uint32(f.stat.Ino)]), nil
}

// listShut notes how the bound UDP sockets of a family are shut
// (include/uapi/linux/inet_diag.h).
func (w *walk) listShut(family uint8) error {
	const byFamily, requestSize, headerSize, inodeAt, shutdown = 20, 56, 72, 68, 8
	request := make([]byte, requestSize) // struct inet_diag_req_v2
	request[0], request[1], request[2] = family, unix.IPPROTO_UDP, 1<<(shutdown-1)
	binary.NativeEndian.PutUint32(request[4:], ^uint32(0)) // in any state
	return elsewhere.InNetwork(w.net.pid, func() error {
		c, err := netlink.Open(unix.NETLINK_SOCK_DIAG)
		if err != nil {
			return err
		}
		defer c.Close()
		all, err := c.Dump(byFamily, request)
		for _, m := range all {
			if len(m.Body) < headerSize {
				continue
			}
			attributes, err := netlink.Parse(m.Body[headerSize:])
			if err != nil {
				return err
			}
			for _, a := range attributes {
				if a.Type == shutdown && len(a.Value) > 0 {
					w.net.shut[binary.NativeEndian.Uint32(m.Body[inodeAt:])] = a.Value[0]
				}
			}
		}
		return err
	})
}

// isEmpty says that there is nothing unread in a socket.
func isEmpty(fd int) bool {
	_, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return errors.Is(err, unix.EAGAIN)
}
