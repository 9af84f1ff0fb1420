package sys

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Acknowledged is the head of the request (struct nlmsghdr) that a message of
// netlink acknowledges: an NLMSG_ERROR (struct nlmsgerr, linux/netlink.h) whose error
// is 0, and nothing besides. nil if it is another message.
func Acknowledged(message []byte) []byte {
	const head, size = unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN + 4 + unix.NLMSG_HDRLEN
	if len(message) != size || binary.NativeEndian.Uint32(message) != size ||
		binary.NativeEndian.Uint16(message[4:]) != unix.NLMSG_ERROR || binary.NativeEndian.Uint32(message[head:]) != 0 {
		return nil
	}
	return message[head+4:]
}
