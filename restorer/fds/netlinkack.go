package fds

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// acknowledge has the kernel acknowledge a request, and leaves that unread. head is
// the request's; the kernel repeats it. It is for a socket that is bound, is in no
// group yet and has no options and no filter.
//
// A question about an interface is asked again, about lo; its answer is read. Others
// may change something: they are sent with the same head but for NLM_F_REQUEST, the
// one bit that differs afterwards. The kernel does nothing then, and says yes
// (netlink_rcv_skb, net/netlink/af_netlink.c, Linux 6.1 to 6.18).
func acknowledge(fd int, head []byte) error {
	typ, flags := binary.NativeEndian.Uint16(head[4:]), binary.NativeEndian.Uint16(head[6:])
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return err
	}
	if protocol == unix.NETLINK_ROUTE && typ == unix.RTM_GETLINK && flags&unix.NLM_F_DUMP == 0 {
		if request := questionAboutLo(head); request != nil {
			is, err := ask(fd, request)
			if err != nil || bytes.Equal(is, head) {
				return err
			}
		}
	}
	again := resized(head)
	binary.NativeEndian.PutUint16(again[6:], flags&^unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	is, err := ask(fd, again)
	if err == nil && is == nil {
		err = errors.New("the kernel does not acknowledge a message that is no request")
	}
	return err
}

// ask sends a message and reads what the kernel answers before it acknowledges it.
// It returns the head that the acknowledgement is of, which is still unread; nil if
// there is none.
func ask(fd int, request []byte) ([]byte, error) {
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var b [64]byte
	for {
		n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if errors.Is(err, unix.EAGAIN) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if is := sys.Acknowledged(b[:min(n, len(b))]); is != nil {
			return is, nil
		}
		if _, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT); err != nil {
			return nil, fmt.Errorf("read its answer: %w", err)
		}
	}
}

// resized is a message of nothing behind its head, as long as that says.
func resized(head []byte) []byte {
	const most = 4096
	size := binary.NativeEndian.Uint32(head)
	if size < unix.NLMSG_HDRLEN || size > most {
		size = unix.NLMSG_HDRLEN
	}
	b := make([]byte, size)
	copy(b, head)
	binary.NativeEndian.PutUint32(b, size)
	return b
}

// questionAboutLo is a message with that head that asks for the first interface of a
// network namespace, which is lo; nil if there is none of that size.
func questionAboutLo(head []byte) []byte {
	const index = unix.NLMSG_HDRLEN + 4 // ifi_index of struct ifinfomsg
	const rest = unix.NLMSG_HDRLEN + unix.SizeofIfInfomsg
	b := resized(head)
	if !bytes.Equal(b[:len(head)], head) || len(b) != rest && len(b) < rest+unix.SizeofRtAttr {
		return nil
	}
	binary.NativeEndian.PutUint32(b[index:], 1)
	if len(b) > rest { // an attribute without a meaning fills it
		binary.NativeEndian.PutUint16(b[rest:], uint16(len(b)-rest))
	}
	return b
}
