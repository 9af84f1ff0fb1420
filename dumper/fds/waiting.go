package fds

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/links"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// listener is a listening TCP socket at which connections wait to be accepted.
type listener struct {
	file *file
	l    *format.TcpListener
	n    uint32
}

const listenerKind = "listening TCP socket"

// lookWaiting looks at the connections that wait to be accepted, when all others
// are known and silent: no descriptor leads to them, so they can't be silenced, and
// what their peers have in their hands is what they will get.
func (w *walk) lookWaiting() (refused refusal.List) {
	for _, l := range w.listeners {
		err := w.lookAccepting(l)
		var r *refusal.Refusal
		switch {
		case errors.As(err, &r):
		case err != nil:
			r = l.file.refuse(listenerKind, fmt.Sprintf("%d connections wait to be accepted, and only the kernel's memory tells of them, which can't be read: %v", l.n, err), "have the program accept them, or the peers disconnect").(*refusal.Refusal)
		default:
			continue
		}
		refused = append(refused, r)
	}
	return refused
}

// kernelMemory reads the kernel's memory; and where a task is that has a file.
func (w *walk) kernelMemory(file *file) (m *kernel.Memory, task uint64, number uint32, err error) {
	if w.Kernel == nil {
		return nil, 0, 0, errors.New("there is no eBPF")
	}
	k, err := w.Kernel()
	if err != nil {
		return nil, 0, 0, err
	}
	for _, h := range file.holders {
		if f := w.Facts[h.PID]; f != nil && f.Address != 0 {
			return kernel.New(k, f.Address), f.Address, uint32(h.number), nil
		}
	}
	return nil, 0, 0, errors.New("no task has it")
}

func (w *walk) lookAccepting(l *listener) error {
	w.net = w.own // those in other ones have been refused
	memory, task, number, err := w.kernelMemory(l.file)
	if err != nil {
		return err
	}
	sk, err := memory.Socket(task, number)
	if err != nil {
		return err
	}
	all, err := memory.Accepting(sk)
	if err != nil {
		return err
	}
	if w.anyOutside(all) {
		if err := w.deafen(l); err != nil {
			return err
		}
		if all, err = memory.Accepting(sk); err != nil { // what came meanwhile, too
			return err
		}
	}
	for _, a := range all {
		if a.Local.Port() == 0 { // it has lost it with its end
			a.Local = netip.AddrPortFrom(a.Local.Addr(), uint16(l.l.Port))
		}
		more, err := w.closing(ends{unmapped(a.Local), unmapped(a.Remote)})
		if err != nil {
			return err
		}
		if more > 1 { // not just a FIN
			return l.file.refuse(listenerKind, fmt.Sprintf("the peer of a connection that waits to be accepted is closed, and has not sent all of its last %d bytes yet", more), "have the program accept it, or try again")
		}
		if a.Local.Addr().Is6() && a.Local.Addr().IsLinkLocalUnicast() {
			return l.file.refuse(listenerKind, "a connection that waits to be accepted is between link-local addresses", "have the program accept it, or the peer disconnect")
		}
		switch a.State {
		case sys.TCPEstablished, sys.TCPCloseWait, sys.TCPClose:
		default:
			return l.file.refuseNow(listenerKind, fmt.Sprintf("a connection that waits to be accepted is just in state %d", a.State), "try again")
		}
		l.l.Waiting = append(l.l.Waiting, &format.TcpWaiting{
			State: uint32(a.State), Address: addressOf(a.Local), Peer: addressOf(a.Remote),
			SendSequence: a.Send, ReceiveSequence: a.Receive, ReceiveQueue: a.Unread, Window: a.Window,
			MaximumSegment: uint32(a.MaximumSegment), WindowScaling: a.WindowScaling, SendScale: uint32(a.SendScale), ReceiveScale: uint32(a.ReceiveScale),
			SelectiveAcknowledgement: a.SelectiveAcknowledgement, Ended: a.State == sys.TCPClose && a.Error == unix.EPIPE,
		})
	}
	return nil
}

// addressOf is an address for the image: of IPv4 if it is that in the form of IPv6.
func addressOf(a netip.AddrPort) *format.InetAddress {
	return &format.InetAddress{Address: a.Addr().Unmap().AsSlice(), Port: uint32(a.Port())}
}

// anyOutside tells whether any peer is none of the container's own sockets: those
// are silent already.
func (w *walk) anyOutside(all []*kernel.Waiting) bool {
	inside := map[ends]bool{}
	for _, f := range w.files {
		if c := f.OpenFile.GetTcpConnection(); c != nil && c.Peer != nil && c.Address != nil {
			inside[ends{portOf(c.Address), portOf(c.Peer)}] = true
		}
	}
	for _, a := range all {
		if !inside[ends{unmapped(a.Remote), unmapped(a.Local)}] && !a.Remote.Addr().Unmap().IsLoopback() {
			return true
		}
	}
	return false
}

func portOf(a *format.InetAddress) netip.AddrPort {
	return netip.AddrPortFrom(unmap(a), uint16(a.Port))
}

// deafen keeps packets away from the container, by a program that drops them on
// each of its interfaces but lo. It ends with us, whatever happens to us.
func (w *walk) deafen(l *listener) error {
	if w.Connections.hear != nil {
		return nil
	}
	own, err := w.ownNetwork()
	if err != nil {
		return err
	}
	if !own {
		return l.file.refuse(listenerKind, "a connection from outside waits to be accepted, and its peer would get a reset while the container is away, since that shares the host's network", "have the program accept it, or give the container a network of its own")
	}
	w.Connections.Outside = true
	w.Connections.hear, err = links.Hold(w.First)
	return err
}
