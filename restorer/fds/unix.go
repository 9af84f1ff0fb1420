package fds

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// unixSocket says which socket a UNIX socket is.
func unixSocket(f *file) (family, typ, protocol int, err error) {
	m := f.GetUnixSocket()
	switch m.Type {
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
	default:
		return 0, 0, 0, fmt.Errorf("the image has a UNIX socket of type %d, which makes no sense", m.Type)
	}
	const longest = 108 // sizeof(sun_path), unix(7)
	if len(m.Address) > longest {
		return 0, 0, 0, fmt.Errorf("the image has a UNIX socket with an address of %d bytes, and %d is the most", len(m.Address), longest)
	}
	return unix.AF_UNIX, int(m.Type), 0, nil
}

// makeUnix sets the options and binds the socket. It listens in wireUnix.
func makeUnix(_ context.Context, r *Restart, f *file) (int, error) {
	m := f.GetUnixSocket()
	if err := setOptions(f.fd, m.Options); err != nil {
		return f.fd, err
	}
	var err error
	switch {
	case len(m.Address) == 0:
	case m.Address[0] == 0:
		err = bindAbstract(f.fd, m)
	case m.Path != "":
		err = r.bindPath(f.fd, m)
	default:
		err = r.bindRemoved(f.fd, m)
	}
	if err != nil {
		return f.fd, fmt.Errorf("bind it to %s: %w", unixName(m), err)
	}
	return f.fd, setFlags(f.fd, f.Flags)
}

// unixName is the address as ss(8) shows it.
func unixName(m *format.UnixSocket) string {
	s := string(m.Address)
	if strings.HasPrefix(s, "\x00") {
		s = "@" + s[1:]
	}
	return fmt.Sprintf("%q", s)
}

// bindAbstract binds the socket to a name that is no file. Such names belong to
// the socket's network namespace.
func bindAbstract(fd int, m *format.UnixSocket) error {
	err := sys.BindUnix(fd, m.Address)
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("another socket of the container's network namespace has that name: end its process (ss -xlp shows it): %w", err)
	}
	return err
}

// wireUnix listens. The process that calls listen(2) is the one that clients
// see as their peer (SO_PEERCRED, unix(7)), so it is the first that has the
// socket: normally the parent of the others.
func wireUnix(_ *Restart, p place.Process, t *table, f *file) error {
	m := f.GetUnixSocket()
	number, ok := t.number[f.Id]
	if !m.Listening || f.wired || !ok {
		return nil
	}
	if _, err := p.Call(unix.SYS_LISTEN, uint64(number), uint64(m.Backlog)); err != nil {
		return fmt.Errorf("listen on %s: %w", unixName(m), err)
	}
	f.wired = true
	return nil
}
