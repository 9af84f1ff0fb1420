package format

import (
	"fmt"
	"strings"
)

// Types of sockets (socket(2)).
const (
	sockStream   = 1
	sockDatagram = 2
)

// maxUnixAddress is sizeof(sun_path), unix(7).
const maxUnixAddress = 108

// unixSocket checks what of a UNIX socket can be checked without the others.
func (c *checker) unixSocket(u *UnixSocket, who func() string) error {
	if u == nil {
		return fmt.Errorf("%s is a UNIX socket of which nothing is said", who())
	}
	if len(u.GetAddress()) > maxUnixAddress || len(u.GetPeerAddress()) > maxUnixAddress || u.GetPath() != "" && badPath(u.GetPath()) {
		return fmt.Errorf("%s has socket addresses of %d and %d bytes, path %.80q", who(), len(u.GetAddress()), len(u.GetPeerAddress()), u.GetPath())
	}
	for _, l := range u.Links {
		if l == "" || l == "." || l == ".." || strings.Contains(l, "/") || badName(l, 255) {
			return fmt.Errorf("%s has another name %.80q", who(), l)
		}
	}
	if err := c.mountNamespace(u.MountNamespace, who); err != nil {
		return err
	}
	if u.GetShutdown() > 3 || u.GetListening() && (u.Peer != 0 || u.PeerClosed || len(u.Queue) > 0) || len(u.GetWaiting()) > 0 && !u.GetListening() || u.GetPeer() != 0 && u.GetPeerClosed() {
		return fmt.Errorf("%s is in a state that no socket can be in", who())
	}
	if err := peerCredentials(u.GetPeerCredentials(), who); err != nil {
		return err
	}
	for _, m := range u.GetQueue() {
		if err := c.unixMessage(u, m, who); err != nil {
			return err
		}
	}
	if err := c.unixArrivals(u, who); err != nil {
		return err
	}
	return options(u.GetOptions(), who)
}

// unixArrivals checks what has come over connections that wait to be accepted.
func (c *checker) unixArrivals(u *UnixSocket, who func() string) error {
	if n := len(u.Arrivals); n != 0 && n != len(u.Waiting) {
		return fmt.Errorf("%s has %d connections that wait to be accepted, and says of %d what has come over them", who(), len(u.Waiting), n)
	}
	for i, id := range u.Waiting {
		if id == 0 && len(u.Arrivals) == 0 {
			return fmt.Errorf("%s has a closed connection that waits to be accepted, of which nothing is said", who())
		}
		if len(u.Arrivals) == 0 {
			continue
		}
		a := u.Arrivals[i]
		if a == nil || len(a.Address) > maxUnixAddress || id != 0 && len(a.Address) > 0 {
			return fmt.Errorf("%s has a connection that waits to be accepted from an address of %d bytes", who(), len(a.GetAddress()))
		}
		if err := peerCredentials(a.Credentials, who); err != nil {
			return err
		}
		for _, m := range a.Queue {
			if err := c.unixMessage(u, m, who); err != nil {
				return err
			}
		}
	}
	return nil
}

func peerCredentials(p *PeerCredentials, who func() string) error {
	const mostGroups = 65536 // NGROUPS_MAX
	if p.GetPid() > maxPID || len(p.GetGroups()) > mostGroups {
		return fmt.Errorf("%s has a peer with process number %d and %d groups", who(), p.GetPid(), len(p.GetGroups()))
	}
	return nil
}

func (c *checker) unixMessage(u *UnixSocket, m *UnixMessage, who func() string) error {
	const mostRights = 253 // SCM_MAX_FD
	if len(m.SenderAddress) > maxUnixAddress || len(m.Rights) > mostRights || u.Type == sockStream && len(m.Data) == 0 {
		return fmt.Errorf("%s has an unread message of %d bytes with %d descriptors, from an address of %d bytes", who(), len(m.Data), len(m.Rights), len(m.SenderAddress))
	}
	if m.Sender != 0 {
		if s := c.unixOf(m.Sender); s.GetType() != sockDatagram || u.Type != sockDatagram {
			return fmt.Errorf("%s has an unread message of open file %d, which is no datagram socket", who(), m.Sender)
		}
	}
	for _, id := range m.Rights {
		if err := c.want(id, anOpenFile, who); err != nil {
			return err
		}
	}
	return peerCredentials(m.Credentials, who)
}

// unixOf finds a UNIX socket by its open file; nil if it is none.
func (c *checker) unixOf(id uint32) *UnixSocket {
	if c.unixes == nil {
		c.unixes = map[uint32]*UnixSocket{}
		for _, o := range c.OpenFiles {
			if u := o.GetUnixSocket(); u != nil {
				c.unixes[o.Id] = u
			}
		}
	}
	return c.unixes[id]
}

// connections checks who is connected with whom.
func (c *checker) connections() error {
	for _, o := range c.OpenFiles {
		u := o.GetUnixSocket()
		if u == nil {
			continue
		}
		for _, id := range u.Waiting {
			if id == 0 { // it is closed
				continue
			}
			if w := c.unixOf(id); w == nil || w.Peer != o.Id || w.Type != u.Type || w.Accepted {
				return fmt.Errorf("open file %d listens, and open file %d is not what could wait there", o.Id, id)
			}
		}
		if err := c.connection(o.Id, u); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) connection(id uint32, u *UnixSocket) error {
	if u.Peer == 0 {
		if u.Accepted && (!u.PeerClosed || len(u.Address) == 0) {
			return fmt.Errorf("open file %d was accepted, and has no peer or no address", id)
		}
		return nil
	}
	p := c.unixOf(u.Peer)
	if p == nil || p.Type != u.Type || u.Peer == id {
		return fmt.Errorf("open file %d is connected to open file %d, which is no such socket", id, u.Peer)
	}
	mutual := p.Peer == id
	switch {
	case u.Type == sockDatagram:
		if u.Accepted || !mutual && len(p.Address) == 0 {
			return fmt.Errorf("open file %d is connected to open file %d, which has no address", id, u.Peer)
		}
	case p.Listening:
		if u.Accepted || len(p.Address) == 0 {
			return fmt.Errorf("open file %d waits to be accepted by open file %d, which can't be", id, u.Peer)
		}
	case !mutual || u.Accepted && (p.Accepted || len(u.Address) == 0):
		return fmt.Errorf("open files %d and %d can't be connected with each other", id, u.Peer)
	}
	return nil
}

// inetAddress checks an address of IP; nil is none.
func inetAddress(a *InetAddress, size int, who func() string) error {
	if a != nil && (len(a.Address) != size || a.Port > 65535) {
		return fmt.Errorf("%s has an address of %d bytes and port %d", who(), len(a.Address), a.Port)
	}
	return nil
}

func inetSocket(s *InetSocket, who func() string) error {
	const inet, inet6, raw = 2, 10, 3
	size := map[uint32]int{inet: 4, inet6: 16}[s.GetFamily()]
	if size == 0 || s.Type != sockDatagram && s.Type != raw || s.Protocol > 255 || s.Shutdown > 3 {
		return fmt.Errorf("%s is an IP socket of family %d, type %d, protocol %d, shut down as %d", who(), s.GetFamily(), s.GetType(), s.GetProtocol(), s.GetShutdown())
	}
	for _, a := range []*InetAddress{s.Address, s.Peer} {
		if err := inetAddress(a, size, who); err != nil {
			return err
		}
	}
	for _, d := range s.Queue {
		const most = 65507 // of UDP over IPv4
		if d.Sender == nil || s.Address == nil || len(d.Data) > most {
			return fmt.Errorf("%s has an unread datagram of %d bytes that can't be", who(), len(d.Data))
		}
		if err := inetAddress(d.Sender, size, who); err != nil {
			return err
		}
	}
	for _, g := range s.Memberships {
		if len(g.Group) != size || g.Interface == "" || badName(g.Interface, 15) {
			return fmt.Errorf("%s is in a multicast group of %d bytes on %.80q", who(), len(g.Group), g.Interface)
		}
	}
	return options(s.Options, who)
}

// netlinkHead is the size of a struct nlmsghdr.
const netlinkHead = 16

func netlinkSocket(s *NetlinkSocket, who func() string) error {
	const raw, protocols, groups = 3, 32, 4096 // MAX_LINKS
	if s.GetType() != sockDatagram && s.GetType() != raw || s.Protocol >= protocols {
		return fmt.Errorf("%s is a netlink socket of type %d, protocol %d", who(), s.GetType(), s.GetProtocol())
	}
	for _, g := range s.Groups {
		if g == 0 || g > groups {
			return fmt.Errorf("%s is in netlink group %d", who(), g)
		}
	}
	if n := len(s.Acknowledged); n != 0 && (n != netlinkHead || s.Port == 0) {
		return fmt.Errorf("%s has an acknowledgement of a head of %d bytes, and number %d", who(), n, s.Port)
	}
	return options(s.Options, who)
}

func packetSocket(s *PacketSocket, who func() string) error {
	const raw, longest, most = 3, 32, 1 << 12 // MAX_ADDR_LEN
	if s.GetType() != sockDatagram && s.GetType() != raw || s.Protocol > 0xffff || s.Interface != 0 && badName(s.Name, 15) {
		return fmt.Errorf("%s is a packet socket of type %d, protocol %d, on %.80q", who(), s.GetType(), s.GetProtocol(), s.GetName())
	}
	for _, m := range s.Memberships {
		if len(m.Address) > longest || m.Type > 3 || m.Count == 0 || m.Count > most || badName(m.Name, 15) {
			return fmt.Errorf("%s has a membership of type %d, %d times, on %.80q", who(), m.Type, m.Count, m.Name)
		}
	}
	if err := s.checkRings(); err != nil {
		return fmt.Errorf("%s %w", who(), err)
	}
	return options(s.Options, who)
}

func tcpListener(l *TcpListener, who func() string) error {
	if n := len(l.GetAddress()); n != 4 && n != 16 || l.GetPort() > 65535 {
		return fmt.Errorf("%s has an address of %d bytes and port %d", who(), n, l.GetPort())
	}
	const most = 1 << 16
	if len(l.Waiting) > most || l.Multipath && len(l.Waiting) > 0 {
		return fmt.Errorf("%s has %d connections that wait to be accepted", who(), len(l.Waiting))
	}
	for _, w := range l.Waiting {
		if err := tcpWaiting(w, who); err != nil {
			return err
		}
	}
	return options(l.GetOptions(), who)
}

func tcpWaiting(w *TcpWaiting, who func() string) error {
	const established, closed, closeWait, mostScale = 1, 7, 8, 14
	if w == nil || w.Address == nil || w.Peer == nil {
		return fmt.Errorf("%s has a connection that waits to be accepted and has no address", who())
	}
	size := len(w.Address.Address)
	if size != 4 && size != 16 {
		return fmt.Errorf("%s has a connection that waits to be accepted at an address of %d bytes", who(), size)
	}
	for _, a := range []*InetAddress{w.Address, w.Peer} {
		if err := inetAddress(a, size, who); err != nil {
			return err
		}
	}
	if w.State != established && w.State != closed && w.State != closeWait || w.SendScale > mostScale || w.ReceiveScale > mostScale || w.MaximumSegment > 65535 {
		return fmt.Errorf("%s has a connection that waits to be accepted in state %d, with windows scaled by %d and %d, segments of %d bytes", who(), w.State, w.SendScale, w.ReceiveScale, w.MaximumSegment)
	}
	return nil
}

func tcpConnection(c *TcpConnection, who func() string) error {
	const inet, inet6, synSent, closed, lastState, mostScale = 2, 10, 2, 7, 11, 14
	size := map[uint32]int{inet: 4, inet6: 16}[c.GetFamily()]
	if size == 0 || c.State == 0 || c.State > lastState {
		return fmt.Errorf("%s is a TCP socket of family %d in state %d", who(), c.GetFamily(), c.GetState())
	}
	for _, a := range []*InetAddress{c.Address, c.Peer} {
		if err := inetAddress(a, size, who); err != nil {
			return err
		}
	}
	needsPeer := c.State != closed
	needsAddress := needsPeer && c.State != synSent || c.Ended
	if needsPeer && c.Peer == nil || needsAddress && c.Address == nil {
		return fmt.Errorf("%s is a TCP socket in state %d without an address", who(), c.State)
	}
	if c.Unsent > uint32(len(c.SendQueue)) || c.SendScale > mostScale || c.ReceiveScale > mostScale || c.MaximumSegment > 65535 {
		return fmt.Errorf("%s is a TCP connection with %d of %d bytes unsent, windows scaled by %d and %d, segments of %d bytes", who(), c.Unsent, len(c.SendQueue), c.SendScale, c.ReceiveScale, c.MaximumSegment)
	}
	return options(c.Options, who)
}
