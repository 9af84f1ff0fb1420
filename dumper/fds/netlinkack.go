package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// The families whose requests are taken by netlink_rcv_skb (net/netlink/af_netlink.c):
// a restart has the kernel say yes again there.
var acknowledging = []int{unix.NETLINK_ROUTE, unix.NETLINK_GENERIC, unix.NETLINK_NETFILTER, unix.NETLINK_XFRM, unix.NETLINK_SOCK_DIAG}

// acknowledged is the head of the request whose acknowledgement is all that is
// unread in a netlink socket; nil if nothing is, or something else. Programs leave
// it there: who asks for one thing with NLM_F_ACK gets the answer and then the
// acknowledgement, and many read the first only (Docker does, and all that is built
// upon the same library of Go).
func (w *walk) acknowledged(fd, protocol int) ([]byte, error) {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	if _, err := unix.Poll(poll, 0); err != nil && !errors.Is(err, unix.EINTR) {
		return nil, err
	}
	if poll[0].Revents != unix.POLLIN || !slices.Contains(acknowledging, protocol) {
		return nil, nil
	}
	one, err := w.sizeOfAcknowledgement()
	if err != nil {
		return nil, err
	}
	// Nothing looks behind the first message; but there is none if this is all that
	// the queue takes of memory. It is asked first: to peek has a dump go on.
	unread, err := queued(fd)
	if err != nil || unread != one {
		return nil, err
	}
	var b [64]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_TRUNC)
	if err != nil {
		return nil, fmt.Errorf("peek at what is unread in it: %w", err)
	}
	return sys.Acknowledged(b[:min(n, len(b))]), nil
}

// sizeOfAcknowledgement is the memory that an acknowledgement takes in a queue
// (its skb's truesize): all are of one size.
func (w *walk) sizeOfAcknowledgement() (uint32, error) {
	if w.acknowledgement != 0 {
		return w.acknowledgement, nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	// What is no request is acknowledged and does nothing (netlink_rcv_skb).
	head := binary.NativeEndian.AppendUint32(nil, unix.NLMSG_HDRLEN)
	head = binary.NativeEndian.AppendUint16(head, unix.RTM_GETLINK)
	head = binary.NativeEndian.AppendUint16(head, unix.NLM_F_ACK)
	head = append(head, make([]byte, 8)...)
	if err := unix.Sendto(fd, head, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask the kernel for an acknowledgement of netlink: %w", err)
	}
	w.acknowledgement, err = queued(fd)
	return w.acknowledgement, err
}

// queued is the memory that a socket's receive queue takes, in bytes.
func queued(fd int) (uint32, error) {
	const soMeminfo, fields = 55, 9 // SK_MEMINFO_VARS; the first is SK_MEMINFO_RMEM_ALLOC
	b, err := sys.GetsockoptBytes(fd, unix.SOL_SOCKET, soMeminfo, 4*fields)
	if err != nil || len(b) < 4 {
		return 0, fmt.Errorf("ask for the memory of its queue (SO_MEMINFO): %w", err)
	}
	return binary.NativeEndian.Uint32(b), nil
}
