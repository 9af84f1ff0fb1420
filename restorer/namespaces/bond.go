package namespaces

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/netlink"
	"lxc-checkpoint/internal/rtnl"
)

// Of IFLA_BOND_*: what is set when there are ports, and what is set first.
const bondMode, bondActive, bondPrimary = 1, 2, 11

// makeBond makes a bond, whose settings depend on each other: many may not even be
// set to what they are (bond_opt_check_deps, drivers/net/bonding/bond_options.c). So
// it is made with its mode alone, and then gets what differs.
func (s *netspace) makeBond(l *format.Link) error {
	want, err := netlink.Parse(l.Data)
	if err != nil {
		return err
	}
	var mode []byte
	for _, a := range want {
		if a.Type == bondMode {
			mode = netlink.Append(mode, a)
		}
	}
	if err := s.create(l, mode); err != nil {
		return err
	}
	is, err := s.bondData(l)
	if err != nil {
		return err
	}
	var differs []byte
	for _, a := range want {
		if a.Type != bondActive && a.Type != bondPrimary && !bytes.Equal(is[a.Type], a.Value) {
			differs = netlink.Append(differs, a)
		}
	}
	return s.changeBond(l, differs)
}

func (s *netspace) bondData(l *format.Link) (map[uint16][]byte, error) {
	links, err := rtnl.Links(s.conn)
	if err != nil {
		return nil, err
	}
	for _, now := range links {
		if now.Index != l.Index {
			continue
		}
		all, err := netlink.Parse(now.Data)
		is := map[uint16][]byte{}
		for _, a := range all {
			is[a.Type] = a.Value
		}
		return is, err
	}
	return nil, errors.New("it has gone")
}

func (s *netspace) changeBond(l *format.Link, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	info := netlink.Nest(unix.IFLA_LINKINFO, netlink.String(unix.IFLA_INFO_KIND, l.Kind), netlink.Attribute{Type: unix.IFLA_INFO_DATA, Flags: netlink.Nested, Value: data})
	return s.conn.Do(unix.RTM_NEWLINK, 0, rtnl.Body(l.Index, 0, 0, netlink.Append(nil, info)))
}

// choosePorts tells a bond which of its ports comes first, and which it uses.
func (s *netspace) choosePorts(l *format.Link) error {
	all, err := netlink.Parse(l.Data)
	if err != nil {
		return err
	}
	for _, choice := range []uint16{bondPrimary, bondActive} {
		for _, a := range all {
			if a.Type != choice || a.Uint32() == 0 {
				continue
			}
			// One that is no port yet, or down, the kernel does not use: then it
			// chooses itself, as it had.
			if err := s.changeBond(l, netlink.Append(nil, a)); err != nil && choice == bondPrimary {
				return fmt.Errorf("have interface %d come first: %w", a.Uint32(), err)
			}
		}
	}
	return nil
}
