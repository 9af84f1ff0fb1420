package namespaces

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/links"
	"lxc-checkpoint/internal/netlink"
	"lxc-checkpoint/internal/rtnl"
)

// makeLinks makes those interfaces that are not there. One that is on top of
// another comes when that is there.
func (m *networks) makeLinks() error {
	for {
		left, made := 0, false
		for _, s := range m.spaces {
			for _, l := range s.Links {
				switch {
				case s.now[l.Name] != nil:
				case l.Outside && m.veth[l.Name] != "":
					if err := m.hang(s, l); err != nil {
						return fmt.Errorf("network interface %s of the container: hang it on %s: %w", l.Name, m.veth[l.Name], err)
					}
					made = true
				case l.Outside:
					return fmt.Errorf("the container had the network interface %s, and has none of that name now: give it back in the container's config (lxc.net), or, for a restart with --native, make one with --veth %s=BRIDGE", l.Name, l.Name)
				case !m.ready(s, l):
					left++
				default:
					if err := m.makeLink(s, l); err != nil {
						return fmt.Errorf("network interface %s of the container, of kind %s: %w", l.Name, l.Kind, explain(err, l.Kind))
					}
					made = true
				}
			}
		}
		if left == 0 {
			return nil
		}
		if !made {
			return errors.New("network interfaces of the container lie upon each other in a circle: the statefile is none of ours")
		}
	}
}

// explain says what an error of making an interface means.
func explain(err error, kind string) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("this kernel has no such interfaces (modprobe %s): %w", kind, err)
	}
	return err
}

// lowerOf is the namespace and the interface that another one is on top of.
func (m *networks) lowerOf(s *netspace, l *format.Link) (*netspace, *format.Link) {
	if l.LowerNamespace != 0 {
		s = m.space(l.LowerNamespace)
	}
	if s == nil || l.Lower == 0 {
		return s, nil
	}
	for _, other := range s.Links {
		if other.Index == l.Lower {
			return s, other
		}
	}
	return s, nil
}

func (m *networks) ready(s *netspace, l *format.Link) bool {
	if l.Kind == "veth" {
		return true
	}
	at, lower := m.lowerOf(s, l)
	return lower == nil || at.now[lower.Name] != nil
}

func (m *networks) makeLink(s *netspace, l *format.Link) error {
	at, lower := m.lowerOf(s, l)
	if at == nil || l.Lower != 0 && lower == nil {
		return errors.New("its other end is missing in the statefile")
	}
	switch l.Kind {
	case "tun":
		s.now[l.Name] = &rtnl.Link{Name: l.Name, Index: l.Index}
		return s.makeTun(l)
	case "veth":
		if lower == nil || lower.Kind != "veth" || lower.Name == l.Name && at == s {
			return errors.New("its other end is missing in the statefile")
		}
		at.now[lower.Name] = &rtnl.Link{Name: lower.Name, Index: lower.Index}
		s.now[l.Name] = &rtnl.Link{Name: l.Name, Index: l.Index}
		return s.conn.Do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL,
			rtnl.Body(l.Index, 0, 0, nameAttribute(l), vethInfo(at, lower), rtnl.Birth(l.Kind, l.Attributes)))
	}
	s.now[l.Name] = &rtnl.Link{Name: l.Name, Index: l.Index}
	if l.Kind == "bond" {
		return s.makeBond(l)
	}
	var link []byte
	if lower != nil {
		link = netlink.Append(nil, netlink.Uint32(unix.IFLA_LINK, lower.Index))
	}
	if at != s {
		// The interface that it is on top of is looked up where the request is made.
		link = netlink.Append(link, netlink.Uint32(unix.IFLA_NET_NS_FD, uint32(s.fd)))
	}
	return at.create(l, l.Data, link)
}

// hang makes a veth to an interface of the host, which is a bridge. The host's end has
// a name of the kernel's. Nothing comes in before the sockets are there.
func (m *networks) hang(s *netspace, l *format.Link) error {
	bridge, err := net.InterfaceByName(m.veth[l.Name])
	if err != nil {
		return err
	}
	c, err := netlink.Open(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.Close()
	attributes := append(vethInfo(s, l), netlink.Append(nil, netlink.Uint32(unix.IFLA_MASTER, uint32(bridge.Index)))...)
	// The kernel heeds the number of the container's end only if the host's end is
	// given one, too (veth_newlink of drivers/net/veth.c, Linux 6.1 to 6.18).
	free, err := afterLast()
	if err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		err := c.Do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, rtnl.Body(free, unix.IFF_UP, unix.IFF_UP, attributes))
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EBUSY) || tries > 100 {
			return err
		}
		free++ // somebody was faster
	}
	s.now[l.Name] = &rtnl.Link{Name: l.Name, Index: l.Index}
	if err := s.inside(links.Deafen); err != nil {
		m.log.Info("packets may come in before the container's sockets are there", "interface", l.Name, "why", err)
	}
	return nil
}

// afterLast is a number above those of all of this host's interfaces.
func afterLast() (uint32, error) {
	all, err := net.Interfaces()
	last := 0
	for _, i := range all {
		last = max(last, i.Index)
	}
	return uint32(last) + 1, err
}

// vethInfo are the attributes of a veth whose other end is an interface of a namespace.
func vethInfo(s *netspace, l *format.Link) []byte {
	const infoPeer = 1 // VETH_INFO_PEER
	peer := rtnl.Body(l.Index, 0, 0, nameAttribute(l), netlink.Append(nil, netlink.Uint32(unix.IFLA_NET_NS_FD, uint32(s.fd))), rtnl.Birth(l.Kind, l.Attributes))
	data := netlink.Attribute{Type: unix.IFLA_INFO_DATA, Flags: netlink.Nested, Value: netlink.Append(nil, netlink.Attribute{Type: infoPeer, Flags: netlink.Nested, Value: peer})}
	return netlink.Append(nil, netlink.Nest(unix.IFLA_LINKINFO, netlink.String(unix.IFLA_INFO_KIND, "veth"), data))
}

// create makes an interface with the data of its kind.
func (s *netspace) create(l *format.Link, data []byte, more ...[]byte) error {
	info := []netlink.Attribute{netlink.String(unix.IFLA_INFO_KIND, l.Kind)}
	if len(data) > 0 {
		info = append(info, netlink.Attribute{Type: unix.IFLA_INFO_DATA, Flags: netlink.Nested, Value: data})
	}
	attributes := append([][]byte{nameAttribute(l), netlink.Append(nil, netlink.Nest(unix.IFLA_LINKINFO, info...)), rtnl.Birth(l.Kind, l.Attributes)}, more...)
	return s.conn.Do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, rtnl.Body(l.Index, 0, 0, attributes...))
}

func nameAttribute(l *format.Link) []byte {
	return netlink.Append(nil, netlink.String(unix.IFLA_IFNAME, l.Name))
}

// makeTun makes an interface that a program serves, by ioctl(2): netlink can't.
// Only what is there without its program is made here (TUNSETPERSIST).
func (s *netspace) makeTun(l *format.Link) error {
	const typ, pi, vnetHdr, multiQueue, owner, group = 3, 4, 5, 7, 1, 2 // IFLA_TUN_*
	attributes, err := netlink.Parse(l.Data)
	if err != nil {
		return err
	}
	flags, ids := uint16(0), map[uint16]uint32{}
	for _, a := range attributes {
		switch {
		case len(a.Value) >= 4:
			ids[a.Type] = a.Uint32()
		case len(a.Value) == 0 || a.Value[0] == 0:
		case a.Type == typ:
			flags |= uint16(a.Value[0]) & (unix.IFF_TUN | unix.IFF_TAP)
		case a.Type == vnetHdr:
			flags |= unix.IFF_VNET_HDR
		case a.Type == multiQueue:
			flags |= unix.IFF_MULTI_QUEUE
		}
		if a.Type == pi && len(a.Value) > 0 && a.Value[0] == 0 {
			flags |= unix.IFF_NO_PI
		}
	}
	return s.inside(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		defer unix.Close(fd)
		r, err := unix.NewIfreq(l.Name)
		if err != nil {
			return err
		}
		r.SetUint16(flags)
		steps := []func() error{
			func() error { return unix.IoctlSetPointerInt(fd, unix.TUNSETIFINDEX, int(l.Index)) },
			func() error { return unix.IoctlIfreq(fd, unix.TUNSETIFF, r) },
			func() error { return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1) },
		}
		if id, ok := ids[owner]; ok {
			steps = append(steps, func() error { return unix.IoctlSetInt(fd, unix.TUNSETOWNER, int(id)) })
		}
		if id, ok := ids[group]; ok {
			steps = append(steps, func() error { return unix.IoctlSetInt(fd, unix.TUNSETGROUP, int(id)) })
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// renumber gives the interfaces that are there the numbers that they had: programs
// know them. Only a move to another namespace changes one, so they go to one of
// ours and come back (IFLA_NEW_IFINDEX, Linux 5.13). The move takes their addresses.
func (s *netspace) renumber() error {
	var wrong []*format.Link
	for _, l := range s.Links {
		if now := s.now[l.Name]; now != nil && l.Index != now.Index {
			wrong = append(wrong, l)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return elsewhere.Run(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		aside := &netspace{}
		var err error
		if aside.fd, err = openNS("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		defer unix.Close(aside.fd)
		if aside.conn, err = netlink.Open(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		defer aside.conn.Close()
		for _, l := range wrong {
			if err := s.move(s.now[l.Name], aside, 0); err != nil {
				return fmt.Errorf("network interface %s: give it number %d: move it out: %w", l.Name, l.Index, err)
			}
		}
		if err := aside.look(); err != nil {
			return err
		}
		for _, l := range wrong {
			if err := aside.move(aside.now[l.Name], s, l.Index); err != nil {
				return fmt.Errorf("network interface %s: give it number %d: %w", l.Name, l.Index, err)
			}
		}
		return nil
	})
}

func (s *netspace) move(l *rtnl.Link, to *netspace, index uint32) error {
	const newIfindex = 49 // IFLA_NEW_IFINDEX
	if l == nil {
		return unix.ENODEV
	}
	attributes := netlink.Append(nil, netlink.Uint32(unix.IFLA_NET_NS_FD, uint32(to.fd)))
	if index != 0 {
		attributes = netlink.Append(attributes, netlink.Uint32(newIfindex, index))
	}
	return s.conn.Do(unix.RTM_NEWLINK, 0, rtnl.Body(l.Index, 0, 0, attributes))
}

// describe gives the interfaces what can be set whether they are up or not.
func (m *networks) describe(s *netspace) error {
	for _, l := range s.Links {
		now := s.now[l.Name]
		if now == nil {
			return fmt.Errorf("network interface %s: it has gone", l.Name)
		}
		if err := s.attributes(l, now, l.Kind == "bridge"); err != nil {
			return err
		}
		for _, name := range l.OtherNames {
			const newLinkProp, propList, altIfname = 108, 52, 53 // RTM_NEWLINKPROP, IFLA_PROP_LIST, IFLA_ALT_IFNAME
			body := rtnl.Body(l.Index, 0, 0, netlink.Append(nil, netlink.Nest(propList, netlink.String(altIfname, name))))
			err := s.conn.Do(newLinkProp, unix.NLM_F_EXCL|unix.NLM_F_CREATE|unix.NLM_F_APPEND, body)
			if err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("network interface %s: other name %s: %w", l.Name, name, err)
			}
		}
	}
	return nil
}

// attributes sets those that differ, one by one: so an error names what it is about.
func (s *netspace) attributes(l *format.Link, now *rtnl.Link, butAddress bool) error {
	have, err := netlink.Parse(now.Attributes)
	if err != nil {
		return err
	}
	want, err := netlink.Parse(rtnl.Settable(l.Attributes))
	if err != nil {
		return err
	}
	is := map[uint16][]byte{}
	for _, a := range have {
		is[a.Type] = a.Value
	}
	for _, a := range want {
		if v, ok := is[a.Type]; ok && bytes.Equal(v, a.Value) || a.Type == unix.IFLA_ADDRESS && (butAddress || l.Kind == "" && !l.Outside) {
			continue
		}
		if err := s.conn.Do(unix.RTM_NEWLINK, 0, rtnl.Body(l.Index, 0, 0, netlink.Append(nil, a))); err != nil {
			return fmt.Errorf("network interface %s: %s: %w", l.Name, attributeName(a), err)
		}
	}
	return nil
}

func attributeName(a netlink.Attribute) string {
	switch a.Type {
	case unix.IFLA_ADDRESS:
		return fmt.Sprintf("address % x", a.Value)
	case unix.IFLA_MTU:
		return fmt.Sprintf("mtu %d", a.Uint32())
	case unix.IFLA_TXQLEN:
		return fmt.Sprintf("txqlen %d", a.Uint32())
	case unix.IFLA_IFALIAS:
		return fmt.Sprintf("alias %q", a.Text())
	}
	return fmt.Sprintf("attribute %d", a.Type)
}

// join makes interfaces ports of others, with what they are as such.
func (s *netspace) join() error {
	for _, l := range s.Links {
		if now := s.now[l.Name]; now.Master != l.Master {
			if l.SlaveKind == "bond" && now.Flags&unix.IFF_UP != 0 {
				if err := s.conn.Do(unix.RTM_NEWLINK, 0, rtnl.Body(l.Index, 0, unix.IFF_UP)); err != nil {
					return fmt.Errorf("network interface %s: set it down, to be a port of a bond: %w", l.Name, err)
				}
			}
			master := netlink.Append(nil, netlink.Uint32(unix.IFLA_MASTER, l.Master))
			if err := s.conn.Do(unix.RTM_NEWLINK, 0, rtnl.Body(l.Index, 0, 0, master)); err != nil {
				return fmt.Errorf("network interface %s: make it a port of interface %d: %w", l.Name, l.Master, err)
			}
		}
		if l.Master == 0 || len(l.SlaveData) == 0 {
			continue
		}
		info := netlink.Append(nil, netlink.Nest(unix.IFLA_LINKINFO,
			netlink.String(infoSlaveKind, l.SlaveKind), netlink.Attribute{Type: infoSlaveData, Flags: netlink.Nested, Value: l.SlaveData}))
		if err := s.conn.Do(unix.RTM_NEWLINK, 0, rtnl.Body(l.Index, 0, 0, info)); err != nil {
			return fmt.Errorf("network interface %s: set it up as a port: %w", l.Name, err)
		}
	}
	for _, l := range s.Links {
		if l.Kind == "bond" {
			if err := s.choosePorts(l); err != nil {
				return fmt.Errorf("network interface %s: %w", l.Name, err)
			}
		}
	}
	if err := s.look(); err != nil {
		return err
	}
	// A bridge has its ports' lowest address, unless it was given one.
	for _, l := range s.Links {
		if now := s.now[l.Name]; l.Kind == "bridge" && now != nil {
			if err := s.attributes(l, now, false); err != nil {
				return err
			}
		}
	}
	return nil
}

const infoSlaveKind, infoSlaveData = 4, 5 // IFLA_INFO_SLAVE_*

// raise sets the interfaces' flags. One can't be up before what it is on top of is.
func (s *netspace) raise() error {
	pending := s.Links
	for len(pending) > 0 {
		var left []*format.Link
		var first error
		for _, l := range pending {
			err := s.conn.Do(unix.RTM_NEWLINK, 0, rtnl.Body(l.Index, l.Flags, rtnl.SettableFlags))
			if err == nil {
				continue
			}
			left = append(left, l)
			if first == nil {
				first = fmt.Errorf("set network interface %s up or down: %w", l.Name, err)
			}
		}
		if len(left) == len(pending) {
			return first
		}
		pending = left
	}
	return nil
}
