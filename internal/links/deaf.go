package links

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
)

// Deafen has the interfaces of our network namespace, but lo, drop all that comes
// in but what neighbours ask and answer, whether they are up yet or not: a packet
// for a connection whose socket is not there yet would be answered with a reset.
//
// XDP does that on every interface (in its generic form), needs nothing of netfilter, and is
// not among the rules that a container may have of its own.
func Deafen() error {
	program, err := sys.BPFLoad(&sys.BPFProgram{Type: unix.BPF_PROG_TYPE_XDP, Instructions: deafness()})
	if err != nil {
		return fmt.Errorf("load a program that drops packets: %w", err)
	}
	defer unix.Close(program)
	return setXDP(program)
}

// Hear ends what Deafen does, in the network namespace of a process.
func Hear(pid int) error {
	return elsewhere.InNetwork(pid, func() error { return setXDP(-1) })
}

// setXDP gives a program to the interfaces of our network namespace, but lo; -1
// takes it away.
func setXDP(program int) error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range all {
		if l.Flags&net.FlagLoopback != 0 {
			continue
		}
		if err := routeRequest(xdpMessage(l.Index, program)); err != nil {
			errs = append(errs, fmt.Errorf("interface %s: %w", l.Name, err))
		}
	}
	return errors.Join(errs...)
}

// xdpMessage is an RTM_SETLINK of an interface with IFLA_XDP (rtnetlink(7)).
func xdpMessage(index, program int) []byte {
	const fd, flags = 1, 3 // IFLA_XDP_FD, IFLA_XDP_FLAGS
	const generic = 2      // XDP_FLAGS_SKB_MODE
	ne := binary.NativeEndian
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	ne.PutUint16(b[4:], unix.RTM_SETLINK)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	ne.PutUint32(b[8:], 1)
	ne.PutUint32(b[unix.SizeofNlMsghdr+4:], uint32(index))
	word := func(kind, v int) {
		b = ne.AppendUint16(ne.AppendUint16(b, 8), uint16(kind))
		b = ne.AppendUint32(b, uint32(v))
	}
	b = ne.AppendUint16(ne.AppendUint16(b, 4+8+8), unix.IFLA_XDP|unix.NLA_F_NESTED)
	word(fd, program)
	word(flags, generic)
	ne.PutUint32(b, uint32(len(b)))
	return b
}

// routeRequest sends a request to the kernel's routing tables and waits for the
// answer, which is no more than an error.
func routeRequest(message []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("the kernel's answer is none")
	}
	if e := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); e != 0 {
		return unix.Errno(-e)
	}
	return nil
}
