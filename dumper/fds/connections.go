package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// Connections are the TCP connections of a container that have been silenced:
// from then on nothing that comes from their peers is acknowledged, and nothing
// is answered, so that what was saved stays true. A filter of the socket drops
// all packets, without an answer; in repair mode (TCP_REPAIR, Linux 3.5) a
// socket can be read wholly, and be closed without a word. Both are undone by
// Release, or end with the sockets.
type Connections struct {
	silent []silenced
	// Outside says whether any has a peer elsewhere than on the interface lo.
	Outside bool
	hear    func() // ends that nothing comes in from outside; nil: it does
}

// silenced is what has to be put back.
type silenced struct {
	fd     int // a copy of ours
	reuse  int // SO_REUSEADDR, which the end of repair mode clears (tcp_setsockopt, net/ipv4/tcp.c)
	filter []byte
}

// dropAll is a filter that lets nothing through: BPF_RET|BPF_K, 0.
var dropAll = []byte{6, 0, 0, 0, 0, 0, 0, 0}

// silence silences one.
func (c *Connections) silence(f *file, fd int, kind string) (err error) {
	const instruction, most = 8, 4096
	code, n, err := sys.SocketFilter(fd, instruction*most)
	if err != nil {
		return fmt.Errorf("ask for its filter: %w", err)
	}
	s := silenced{filter: code[:n*instruction]}
	if s.reuse, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR); err != nil {
		return err
	}
	if s.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return err
	}
	if err := sys.AttachFilter(s.fd, dropAll); err != nil {
		unix.Close(s.fd)
		if errors.Is(err, unix.EPERM) {
			return f.refuse(kind, "its filter is locked (SO_LOCK_FILTER)", "have the program close it, or end it, before the checkpoint")
		}
		return fmt.Errorf("keep packets away from it: %w", err)
	}
	c.silent = append(c.silent, s)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON); err != nil {
		return fmt.Errorf("read it in repair mode (needs CAP_NET_ADMIN): %w", err)
	}
	return nil
}

// Release lets the connections go on as if nothing had been; no packet is sent.
// What has come meanwhile is sent again by the peers.
func (c *Connections) Release() error {
	var errs []error
	for _, s := range c.silent {
		errs = append(errs,
			ignoreEINVAL(unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, sys.RepairNone)),
			unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF_NO_WP),
			unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, s.reuse))
		if len(s.filter) > 0 {
			errs = append(errs, sys.AttachFilter(s.fd, s.filter))
		} else {
			errs = append(errs, unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0))
		}
	}
	c.Close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("let the TCP connections go on: %w", err)
	}
	return nil
}

func ignoreEINVAL(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) { // it did not come to repair mode
		return nil
	}
	return err
}

// Close gives up our copies. Without Release the connections are gone, silently,
// when their processes are.
func (c *Connections) Close() {
	if c.hear != nil {
		c.hear()
		c.hear = nil
	}
	for _, s := range c.silent {
		unix.Close(s.fd)
	}
	c.silent = nil
}
