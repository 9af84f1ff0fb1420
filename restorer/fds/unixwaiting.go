package fds

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// connectWaiting connects those that wait to be accepted, in their order. One that
// was closed since is there until all queues are filled.
func (j *join) connectWaiting(l *file) error {
	m := l.GetUnixSocket()
	if len(m.Waiting) == 0 {
		return nil
	}
	if err := passOptions(l); err != nil {
		return err
	}
	for i := range m.Waiting {
		if err := j.connectArrival(l, i); err != nil {
			return fmt.Errorf("connect %s, which waits to be accepted: %w", j.arrivalName(m, i), err)
		}
	}
	return nil
}

// passOptions sets what a connection takes over from its listener when it comes
// (SO_PASSCRED and the like, since Linux 6.16; before, when it is accepted).
func passOptions(l *file) error {
	for _, o := range l.GetUnixSocket().Options {
		const passRights = 83 // SO_PASSRIGHTS
		if o.Level != unix.SOL_SOCKET {
			continue
		}
		switch o.Name {
		case unix.SO_PASSCRED, unix.SO_PASSSEC, unix.SO_PASSPIDFD, passRights:
			if err := setOption(l.fd, int(o.Level), int(o.Name), o.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *join) arrivalName(m *format.UnixSocket, i int) string {
	if f := j.byID[m.Waiting[i]]; f != nil {
		return j.name(f)
	}
	return fmt.Sprintf("connection %d, which was closed", i)
}

func (j *join) connectArrival(l *file, i int) error {
	m := l.GetUnixSocket()
	s, err := j.spotFor(l)
	if err != nil {
		return err
	}
	var from *format.PeerCredentials
	if len(m.Arrivals) > 0 {
		from = m.Arrivals[i].Credentials
	}
	listener, fd := m.PeerCredentials, -1
	if f := j.byID[m.Waiting[i]]; f != nil {
		listener, fd = f.GetUnixSocket().PeerCredentials, f.fd
		if from == nil {
			from = j.ownerOf(f)
		}
	} else {
		if err := j.inNetwork(l.Network, func() error {
			fd, err = j.temporarySocket(m.Type, m.Arrivals[i].Address)
			return err
		}); err != nil {
			return err
		}
		j.closed[m.Arrivals[i]] = fd
	}
	// It may have listened for fewer since.
	if err := j.listenAs(listener, l.fd, max(m.Backlog, uint32(len(m.Waiting)))); err != nil {
		return err
	}
	return j.connectAs(from, fd, m.Address, s)
}

// fillArrivals sends those that wait to be accepted what they have had.
func (j *join) fillArrivals(l *file) error {
	m := l.GetUnixSocket()
	for i, a := range m.Arrivals {
		from, closed := j.closed[a]
		if !closed {
			from = j.byID[m.Waiting[i]].fd
		}
		for _, q := range a.Queue {
			if err := j.withCredentials(q, func(c *unix.Ucred) error { return j.send(from, nil, q, c) }); err != nil {
				return fmt.Errorf("send %d bytes over %s, which waits to be accepted: %w", len(q.Data), j.arrivalName(m, i), err)
			}
		}
	}
	return nil
}
