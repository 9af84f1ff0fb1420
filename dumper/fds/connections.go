package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/heir"
	"lxc-checkpoint/internal/sys"
)

// Connections are the TCP connections of a container that have been silenced:
// from then on nothing that comes from their peers is acknowledged, and nothing
// is answered, so that what was saved stays true. A filter of the socket drops
// all packets, without an answer. In repair mode (TCP_REPAIR, Linux 3.5) a
// socket can be read wholly, and be closed without a word: it is in it for these
// moments only, since who reads or writes in it gets an error, should we be killed
// and the program go on. All is undone by Release, or ends with the sockets.
type Connections struct {
	silent []silenced
	// Outside says whether any has a peer elsewhere than on the interface lo.
	Outside bool
	// Heir puts back what was done to sockets if we are killed. Nil: nobody does.
	Heir *heir.Testator
	hear func() // ends that nothing comes in from outside; nil: it does
}

// silenced is what has to be put back.
type silenced struct {
	fd     int // a copy of ours
	reuse  int // SO_REUSEADDR, which the end of repair mode clears (tcp_setsockopt, net/ipv4/tcp.c)
	filter []byte
	forget func() // see Heir
}

// normal are the options that end repair mode.
func (s *silenced) normal() []heir.Option {
	return []heir.Option{
		heir.Int(unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, sys.RepairNone),
		heir.Int(unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF_NO_WP),
		heir.Int(unix.SOL_SOCKET, unix.SO_REUSEADDR, s.reuse),
	}
}

// before are those that make all as it was.
func (s *silenced) before() []heir.Option {
	return append(s.normal(), heir.Option{Level: unix.SOL_SOCKET, Name: unix.SO_ATTACH_FILTER, Value: s.filter})
}

func (s *silenced) set(options ...heir.Option) error {
	var errs []error
	for _, o := range options {
		err := o.Set(s.fd)
		if o.Level == unix.IPPROTO_TCP && o.Name == unix.TCP_REPAIR_QUEUE {
			err = ignoreEINVAL(err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// dropAll is a filter that lets nothing through: BPF_RET|BPF_K, 0.
var dropAll = []byte{6, 0, 0, 0, 0, 0, 0, 0}

// silence silences one, and has it read in repair mode.
func (c *Connections) silence(f *file, fd int, kind string, read func() error) (err error) {
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
	if s.forget, err = c.Heir.Leave(s.fd, s.before()...); err != nil {
		unix.Close(s.fd)
		return err
	}
	if err := sys.AttachFilter(s.fd, dropAll); err != nil {
		s.forget()
		unix.Close(s.fd)
		if errors.Is(err, unix.EPERM) {
			return f.refuse(kind, "its filter is locked (SO_LOCK_FILTER)", "have the program close it, or end it, before the checkpoint")
		}
		return fmt.Errorf("keep packets away from it: %w", err)
	}
	c.silent = append(c.silent, s)
	if err := s.repair(); err != nil {
		return err
	}
	return errors.Join(read(), s.set(s.normal()...))
}

func (s *silenced) repair() error {
	if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON); err != nil {
		return fmt.Errorf("read it in repair mode (needs CAP_NET_ADMIN): %w", err)
	}
	return nil
}

// Mute has them end without a word when their processes do, in the next moment.
func (c *Connections) Mute() error {
	for i := range c.silent {
		if err := c.silent[i].repair(); err != nil {
			return err
		}
	}
	return nil
}

// Release lets the connections go on as if nothing had been; no packet is sent.
// What has come meanwhile is sent again by the peers.
func (c *Connections) Release() error {
	var errs []error
	for _, s := range c.silent {
		errs = append(errs, s.set(s.before()...))
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
		s.forget()
		unix.Close(s.fd)
	}
	c.silent = nil
}
