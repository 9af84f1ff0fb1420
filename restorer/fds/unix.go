package fds

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// unixSocket says which socket a UNIX socket is. Family 0: it is not created by
// socket(2), but is an end of a pair, or is accepted.
func unixSocket(r *Restart, f *file) (family, typ, protocol int, err error) {
	m := f.GetUnixSocket()
	switch m.Type {
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
	default:
		return 0, 0, 0, fmt.Errorf("the image has a UNIX socket of type %d, which makes no sense", m.Type)
	}
	const longest = 108 // sizeof(sun_path), unix(7)
	if len(m.Address) > longest || len(m.PeerAddress) > longest {
		return 0, 0, 0, fmt.Errorf("the image has a UNIX socket with an address of %d bytes, and %d is the most", max(len(m.Address), len(m.PeerAddress)), longest)
	}
	if m.Accepted || r.isPair(f) {
		return 0, 0, 0, nil
	}
	return unix.AF_UNIX, int(m.Type), 0, nil
}

// isPair says whether a socket was made by socketpair(2).
func (r *Restart) isPair(f *file) bool {
	m := f.GetUnixSocket()
	switch {
	case m.PeerClosed:
		return !m.Accepted && len(m.PeerAddress) == 0
	case m.Peer == 0:
		return false
	}
	p := r.byID[m.Peer].GetUnixSocket()
	if p == nil || p.Peer != f.Id || p.Listening {
		return false
	}
	if m.Type == unix.SOCK_DGRAM {
		// Only of a pair the kernel knows who has made it.
		return m.PeerCredentials != nil || len(m.Address) == 0 || len(p.Address) == 0
	}
	return !m.Accepted && !p.Accepted
}

// makeUnix binds the socket. All else needs others, or the process that is to be
// seen as its peer, and is done by Join.
func makeUnix(_ context.Context, r *Restart, f *file) (int, error) {
	if f.fd < 0 {
		return -1, nil
	}
	return f.fd, r.bindUnix(f)
}

func (r *Restart) bindUnix(f *file) (err error) {
	m := f.GetUnixSocket()
	switch {
	case len(m.Address) == 0:
	case m.Address[0] == 0:
		err = bindAbstract(f.fd, m.Address)
	case m.Path != "":
		err = r.bindPath(f.fd, m)
	default:
		f.spot, err = r.bindHidden(f.fd, m)
	}
	if err != nil {
		return fmt.Errorf("bind it to %s: %w", unixName(m.Address), err)
	}
	return nil
}

// unixName is an address as ss(8) shows it.
func unixName(address []byte) string {
	s := string(address)
	if strings.HasPrefix(s, "\x00") {
		s = "@" + s[1:]
	}
	return fmt.Sprintf("%q", s)
}

// bindAbstract binds the socket to a name that is no file. Such names belong to
// the socket's network namespace.
func bindAbstract(fd int, address []byte) error {
	err := sys.BindUnix(fd, address)
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("another socket of the container's network namespace has that name: end its process (ss -xlp shows it): %w", err)
	}
	return err
}
