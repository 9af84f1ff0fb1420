package fds

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

var netlinkOptions = []option{
	{unix.SOL_NETLINK, unix.NETLINK_PKTINFO, 4}, {unix.SOL_NETLINK, unix.NETLINK_BROADCAST_ERROR, 4},
	{unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, 4}, {unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 4},
	{unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 4}, {unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 4},
	{unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 4},
}

// lookNetlink saves a netlink socket. What the kernel has sent to it can't be
// sent again by anybody else, but for what it sends to everybody (acknowledged).
func (w *walk) lookNetlink(f *file, fd, typ, protocol int) error {
	s := &format.NetlinkSocket{Type: uint32(typ), Protocol: uint32(protocol)}
	var err error
	if s.Acknowledged, err = w.acknowledged(fd, protocol); err != nil {
		return err
	}
	if s.Acknowledged == nil {
		if err := f.checkQuiet(fd, "netlink socket"); err != nil {
			return err
		}
	}
	f.Kind = &format.OpenFile_NetlinkSocket{NetlinkSocket: s}
	for _, end := range []struct {
		name func(int) (unix.Sockaddr, error)
		put  func(a *unix.SockaddrNetlink)
	}{
		{unix.Getsockname, func(a *unix.SockaddrNetlink) { s.Port = a.Pid }},
		{unix.Getpeername, func(a *unix.SockaddrNetlink) { s.PeerPort, s.PeerGroups = a.Pid, a.Groups }},
	} {
		a, err := end.name(fd)
		if err != nil {
			return err
		}
		n, ok := a.(*unix.SockaddrNetlink)
		if !ok {
			return fmt.Errorf("a netlink socket with an address of kind %T", a)
		}
		end.put(n)
	}
	// A bit for each group, in words of the kernel's own size.
	const mostGroups = 4096
	bits, err := sys.GetsockoptBytes(fd, unix.SOL_NETLINK, unix.NETLINK_LIST_MEMBERSHIPS, mostGroups/8)
	if err != nil {
		return fmt.Errorf("ask for its groups: %w", err)
	}
	for i := 0; i+4 <= len(bits); i += 4 {
		for word, bit := binary.NativeEndian.Uint32(bits[i:]), 0; word != 0; word, bit = word>>1, bit+1 {
			if word&1 != 0 {
				s.Groups = append(s.Groups, uint32(8*i+bit+1))
			}
		}
	}
	s.Options, err = w.options(f, fd, [3]int{unix.AF_NETLINK, typ, protocol}, socketOptions, netlinkOptions)
	return err
}

// checkQuiet refuses a socket that has something unread or an error to tell.
func (f *file) checkQuiet(fd int, kind string) error {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLPRI | unix.POLLRDHUP}}
	if _, err := unix.Poll(poll, 0); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	const goOn = "let the program go on until it has read it"
	switch r := poll[0].Revents; {
	case r&unix.POLLERR != 0:
		return f.refuseNow(kind, "it has an error that the program has not heard of yet", goOn)
	case r&unix.POLLRDHUP != 0 && isEmpty(fd): // it is shut down for receiving
	case r&unix.POLLIN != 0:
		return f.refuseNow(kind, "there are unread messages in it, which can't be put back", goOn)
	}
	return nil
}
