package fds

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// connectStream makes the connection of a stream or of sequenced packets, both
// ends of it; one whose peer is closed gets a partner in its place for a while.
func (j *join) connectStream(f *file) error {
	m := f.GetUnixSocket()
	if m.Type == unix.SOCK_DGRAM || m.Peer == 0 && !m.PeerClosed || f.partner != 0 {
		return nil
	}
	p := j.byID[m.Peer]
	if p != nil && (p.GetUnixSocket().GetListening() || p.wired) {
		return nil
	}
	f.wired = true
	switch {
	case j.isPair(f):
		return j.makePair(f, p)
	case p == nil && m.Accepted:
		client, err := j.temporarySocket(m.Type, m.PeerAddress)
		if err != nil {
			return err
		}
		f.partner = client
		f.fd, err = j.connectAndAccept(client, m.PeerCredentials, nil, m.Type, m.Address)
		return err
	case p == nil:
		server, err := j.connectAndAccept(f.fd, nil, m.PeerCredentials, m.Type, m.PeerAddress)
		if err == nil {
			f.partner = server
			j.temporary = append(j.temporary, server)
		}
		return err
	case m.Accepted:
		f, p = p, f
	}
	server := p.GetUnixSocket()
	fd, err := j.connectAndAccept(f.fd, server.PeerCredentials, f.GetUnixSocket().PeerCredentials, server.Type, server.Address)
	p.fd = fd
	return err
}

// makePair makes a pair of sockets of f and its peer, or of f and its partner.
func (j *join) makePair(f, p *file) error {
	m := f.GetUnixSocket()
	ends, err := j.pairAs(m.PeerCredentials, m.Type)
	if err != nil {
		return err
	}
	f.fd = ends[0]
	if p == nil {
		f.partner = ends[1]
		j.temporary = append(j.temporary, ends[1])
	} else {
		p.fd = ends[1]
		if err := j.bindUnix(p); err != nil {
			return err
		}
	}
	return j.bindUnix(f)
}

// connectAndAccept connects client to whoever listens at an address, and accepts
// that: server is whom the accepted socket sees as its peer, listener whom the
// client sees.
func (j *join) connectAndAccept(client int, server, listener *format.PeerCredentials, typ uint32, address []byte) (int, error) {
	l, s, err := j.listenerAt(typ, address)
	if err != nil {
		return -1, fmt.Errorf("listen at %s, for a connection that was accepted there: %w", unixName(address), err)
	}
	if err := j.listenAs(listener, l, 1); err != nil {
		return -1, fmt.Errorf("listen at %s: %w", unixName(address), err)
	}
	if err := j.connectAs(server, client, address, s); err != nil {
		return -1, fmt.Errorf("connect to %s: %w", unixName(address), err)
	}
	fd, err := sys.Accept(l)
	if err != nil {
		return -1, fmt.Errorf("accept at %s: %w", unixName(address), err)
	}
	return fd, nil
}

// listenerAt finds the socket of the image that listens at an address, or makes
// one for a while.
func (j *join) listenerAt(typ uint32, address []byte) (int, *spot, error) {
	for _, f := range j.files {
		m := f.GetUnixSocket()
		if m.GetListening() && m.Type == typ && string(m.Address) == string(address) {
			s, err := j.spotFor(f)
			return f.fd, s, err
		}
	}
	key := fmt.Sprintf("listener %d %s", typ, address)
	if i, ok := j.senders[key]; ok {
		return j.temporary[i], j.spots[i], nil
	}
	fd, err := j.temporarySocket(typ, address)
	if err != nil {
		return -1, nil, err
	}
	j.senders[key] = len(j.temporary) - 1
	return fd, j.spots[len(j.spots)-1], nil
}

// spotFor is spotOf; nil for an abstract address.
func (j *join) spotFor(f *file) (*spot, error) {
	if a := f.GetUnixSocket().Address; len(a) == 0 || a[0] == 0 {
		return nil, nil
	}
	return j.spotOf(f)
}

// temporarySocket makes a socket that was closed at the checkpoint, bound to an
// address that may be empty.
func (j *join) temporarySocket(typ uint32, address []byte) (int, error) {
	fd, err := j.socketInside(unix.AF_UNIX, int(typ), 0)
	if err != nil {
		return -1, err
	}
	var s *spot
	switch {
	case len(address) == 0:
	case address[0] == 0:
		err = bindAbstract(fd, address)
	default:
		s, err = j.bindHidden(fd, &format.UnixSocket{Address: address})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind a socket to %s, which had been closed: %w", unixName(address), err)
	}
	for len(j.spots) < len(j.temporary) { // one of each
		j.spots = append(j.spots, nil)
	}
	j.temporary, j.spots = append(j.temporary, fd), append(j.spots, s)
	return fd, nil
}

// ownerOf is a process that has a file. For one that waits it is, where nobody told,
// the best that is known of who connected it.
func (r *Restart) ownerOf(f *file) *format.PeerCredentials {
	for _, t := range r.skeleton.Files {
		for _, d := range t.Descriptors {
			if d.OpenFile != f.Id {
				continue
			}
			for _, p := range r.skeleton.Processes {
				for _, k := range p.Tasks {
					if c := k.Credentials; k.Files == t.Id && c != nil {
						return &format.PeerCredentials{Pid: p.Pid, Uid: c.Euid, Gid: c.Egid, Groups: c.Groups}
					}
				}
			}
		}
	}
	return nil
}

// pairDatagrams makes pairs of datagram sockets.
func (j *join) pairDatagrams(f *file) error {
	if f.GetUnixSocket().Type != unix.SOCK_DGRAM || f.fd >= 0 {
		return nil
	}
	f.wired = true
	return j.makePair(f, j.byID[f.GetUnixSocket().Peer])
}

// connectDatagrams connects a datagram socket to another one; before that, those
// that are connected to it: once it has a peer, it takes nothing from others
// (unix_may_send, net/unix/af_unix.c).
func (j *join) connectDatagrams(f *file) error {
	m := f.GetUnixSocket()
	if m.Type != unix.SOCK_DGRAM || m.Peer == 0 && !m.PeerClosed || f.wired || j.isPair(f) {
		return nil
	}
	f.wired = true
	for _, other := range j.files {
		if u := other.GetUnixSocket(); u != nil && u.Peer == f.Id && other.Id != m.Peer {
			if err := j.connectDatagrams(other); err != nil {
				return err
			}
		}
	}
	var to []byte
	var err error
	if m.PeerClosed {
		var fd int
		if fd, err = j.temporarySocket(m.Type, m.PeerAddress); err == nil {
			to, err = ourPath(m.PeerAddress, j.spots[len(j.spots)-1])
			_ = fd
		}
	} else {
		to, err = j.pathTo(j.byID[m.Peer])
	}
	if err == nil {
		err = sys.Connect(f.fd, sys.RawUnixAddress(to))
	}
	if err != nil {
		return fmt.Errorf("connect it: %w", err)
	}
	return nil
}

// pathTo is where this process finds a socket.
func (j *join) pathTo(f *file) ([]byte, error) {
	s, err := j.spotFor(f)
	if err != nil {
		return nil, err
	}
	return ourPath(f.GetUnixSocket().Address, s)
}

func ourPath(address []byte, s *spot) ([]byte, error) {
	switch {
	case len(address) == 0:
		return nil, errors.New("its peer has no address")
	case s == nil:
		return address, nil
	}
	return []byte(path.Join("/proc/self/fd", strconv.Itoa(s.dir), s.base)), nil
}

// finishUnix does what the steps before must not see yet: shut halves, options,
// flags; it lets the peers go that are closed, and listens as it did.
func (j *join) finishUnix(f *file) error {
	m := f.GetUnixSocket()
	if m.ResetByPeer && f.partner > 0 {
		// What a peer has not read when it closes makes the error.
		if _, err := sys.SendMessage(f.fd, []byte{0}, nil, nil, unix.MSG_DONTWAIT); err != nil {
			return fmt.Errorf("write to its closed peer: %w", err)
		}
	}
	if f.partner > 0 {
		for i, fd := range j.temporary {
			if fd == f.partner {
				j.temporary[i] = -1
			}
		}
		unix.Close(f.partner)
		f.partner = 0
	}
	if m.Shutdown != 0 && (m.Peer != 0 || m.Type == unix.SOCK_DGRAM) {
		how := map[uint32]int{1: unix.SHUT_RD, 2: unix.SHUT_WR, 3: unix.SHUT_RDWR}[m.Shutdown]
		if err := unix.Shutdown(f.fd, how); err != nil {
			return fmt.Errorf("shut it down: %w", err)
		}
	}
	if m.Listening {
		if err := j.listenAs(m.PeerCredentials, f.fd, m.Backlog); err != nil {
			return fmt.Errorf("listen on %s: %w", unixName(m.Address), err)
		}
	}
	if err := setOptions(f.fd, m.Options); err != nil {
		return err
	}
	return setFlags(f.fd, f.Flags)
}
