package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

const remedyOutside = "start the container so that nothing outside is connected to it (lxc-start -d), have the program close it, or end the process"

// connectUnix finds out which UNIX socket is connected with which, when all of
// the container are known.
func (w *walk) connectUnix() (refused refusal.List) {
	for _, do := range []func(*unixSocket) error{w.findWaiting, w.findPeer, w.findSenders} {
		for _, u := range w.unixes {
			var r *refusal.Refusal
			if err := do(u); errors.As(err, &r) {
				refused = append(refused, r)
			}
		}
	}
	for _, u := range w.unixes {
		u.Accepted = w.wasAccepted(u)
	}
	return refused
}

// findPeer finds what a socket is connected to.
func (w *walk) findPeer(u *unixSocket) error {
	if !u.diag.HasPeer || u.Peer != 0 || u.Listening {
		return nil
	}
	const both = 3
	p := w.unixByInode[u.diag.Peer]
	switch {
	case u.diag.Peer == 0 && (u.Shutdown == both || u.Type == unix.SOCK_DGRAM):
		u.PeerClosed, u.PeerAddress = true, u.peer
		return nil
	case u.diag.Peer == 0:
		return u.file.refuse("connected UNIX socket", "it waits to be accepted by a process outside the container", asExternal(u.file, remedyOutside))
	case p == nil:
		return u.file.refuse("connected UNIX socket", "its peer"+ofAddress(u.peer)+" is outside the container", asExternal(u.file, remedyOutside))
	}
	mutual := p.diag.HasPeer && p.diag.Peer == uint32(u.file.stat.Ino)
	if !mutual && len(p.Address) == 0 {
		return u.file.refuse("connected UNIX socket", "its peer has no address, and is connected to another one by now", "have the program close it, or end it, before the checkpoint")
	}
	u.Peer = p.file.Id
	return nil
}

// ofAddress names a peer's address, if it has one, as ss(8) shows it.
func ofAddress(address []byte) string {
	if len(address) == 0 {
		return ""
	}
	if address[0] == 0 {
		address = append([]byte("@"), address[1:]...)
	}
	return fmt.Sprintf(" %q", address)
}

// wasAccepted says whether a connected socket came from accept(2): then its
// address is its listener's, and it is not found by that. Of two ends that both
// have an address, and are found by none, the younger one is taken for it.
func (w *walk) wasAccepted(u *unixSocket) bool {
	if u.Type == unix.SOCK_DGRAM || u.Listening || len(u.Address) == 0 || u.Peer == 0 && !u.PeerClosed {
		return false
	}
	if w.wasAcceptedByName(u) {
		return true
	}
	if w.isFound(u) {
		return false
	}
	if u.Peer == 0 {
		return len(u.PeerAddress) == 0
	}
	p := w.unixByInode[u.diag.Peer]
	switch {
	case p == nil || p.Listening: // it waits
		return false
	case len(p.Address) == 0 || w.isFound(p):
		return true
	case w.wasAcceptedByName(p):
		return false
	}
	return u.file.stat.Ino > p.file.stat.Ino
}

// wasAcceptedByName says whether a listener of the container has the address.
func (w *walk) wasAcceptedByName(u *unixSocket) bool {
	return slices.ContainsFunc(w.unixes, func(l *unixSocket) bool {
		return l.Listening && l.Type == u.Type && string(l.Address) == string(u.Address)
	})
}

// isFound says whether a socket that does not listen is found by its address:
// an abstract one can't be bound to then, and at a path the kernel says that
// it is a socket of another type than one of datagrams.
func (w *walk) isFound(u *unixSocket) bool {
	if u.Address[0] != 0 {
		if u.Path == "" {
			return false
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return false
		}
		defer unix.Close(fd)
		at := fmt.Sprintf("/proc/self/fd/%d%s", w.root, u.Path)
		return errors.Is(sys.Connect(fd, sys.RawUnixAddress([]byte(at))), unix.EPROTOTYPE)
	}
	err := elsewhere.InNetwork(u.file.network.pid, func() error {
		fd, err := unix.Socket(unix.AF_UNIX, int(u.Type)|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return sys.BindUnix(fd, u.Address)
	})
	return errors.Is(err, unix.EADDRINUSE)
}

// findSenders finds out which socket has sent each datagram: the one that has
// the sender's address; of those without one, the one that can have been it.
func (w *walk) findSenders(u *unixSocket) error {
	if u.Type != unix.SOCK_DGRAM {
		return nil
	}
	for _, m := range u.Queue {
		var found []*unixSocket
		for _, s := range w.unixes {
			if s.Type == unix.SOCK_DGRAM && s.pending > 0 && string(s.Address) == string(m.SenderAddress) && (len(s.Address) > 0 || s.Peer == u.file.Id) {
				found = append(found, s)
			}
		}
		if len(found) == 1 {
			m.Sender = found[0].file.Id
		}
	}
	return nil
}

// peerCredentials are SO_PEERCRED and SO_PEERGROUPS, as the container sees them;
// nil if the socket has none.
func (w *walk) peerCredentials(f *file, fd int) (*format.PeerCredentials, error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return nil, fmt.Errorf("ask who its peer was: %w", err)
	}
	if c.Pid == 0 && c.Uid == ^uint32(0) {
		return nil, nil
	}
	found := &format.PeerCredentials{Uid: c.Uid, Gid: c.Gid}
	pid, known := w.inside(int(c.Pid))
	if !known {
		// It has ended, or is outside: only the container knows its number.
		if pid, err = w.askPeer(f); err != nil {
			return nil, err
		}
	}
	found.Pid = uint32(pid)
	const most = 65536 // NGROUPS_MAX
	groups, err := sys.GetsockoptBytes(fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS, 4*most)
	if err != nil && !errors.Is(err, unix.ENODATA) {
		return nil, fmt.Errorf("ask for the groups of its peer: %w", err)
	}
	for ; len(groups) >= 4; groups = groups[4:] {
		found.Groups = append(found.Groups, binary.NativeEndian.Uint32(groups))
	}
	return found, nil
}

// askPeer has a task that has the socket ask for its peer's number.
func (w *walk) askPeer(f *file) (int, error) {
	if f.flying || w.Ask == nil {
		return 0, f.refuseNow("connected UNIX socket", "who was its peer has ended, and nobody who has it open can be asked for that process's number", "let the program go on until it has received the socket")
	}
	b, err := w.Ask(f.PID, f.number, unix.SOL_SOCKET, unix.SO_PEERCRED, unix.SizeofUcred)
	if err != nil {
		return 0, fmt.Errorf("have it ask who its peer was: %w", err)
	}
	return int(int32(binary.NativeEndian.Uint32(b))), nil
}

// inside is the number that a process of the container has there.
func (w *walk) inside(pid int) (int, bool) {
	if w.Tasks != nil {
		n, ok := w.Tasks[pid]
		return int(n), ok
	}
	s, err := procfs.ReadStatus(pid)
	if err != nil || len(s.NSpid) == 0 {
		return 0, false
	}
	return s.NSpid[len(s.NSpid)-1], true
}

// credentials are those of a message, as the container sees them.
func (w *walk) credentials(f *file, c *unix.Ucred) (*format.PeerCredentials, error) {
	pid, known := w.inside(int(c.Pid))
	if !known {
		pid = w.endedSender(f, int(c.Pid))
	}
	if pid == 0 {
		return nil, f.refuseNow("UNIX socket", fmt.Sprintf("an unread message in it has the credentials of process %d of the host, which is outside the container, or has ended and only the kernel's memory tells its number", c.Pid), "let the program go on until it has read it")
	}
	return &format.PeerCredentials{Pid: uint32(pid), Uid: c.Uid, Gid: c.Gid}, nil
}

// endedSender is the number in the container of a process that has ended; 0 if
// nobody can tell.
func (w *walk) endedSender(f *file, pid int) int {
	r, sk, err := w.unixInKernel(f)
	if err != nil {
		return 0
	}
	numbers, err := r.Senders(sk)
	if err != nil {
		return 0
	}
	return numbers[pid]
}
