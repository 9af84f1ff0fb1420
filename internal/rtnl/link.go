package rtnl

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// Link is what a message about an interface says (struct ifinfomsg).
type Link struct {
	Index      uint32
	Flags      uint32 // all IFF_*
	Name       string
	Kind       string
	Data       []byte // what an image keeps of IFLA_INFO_DATA
	SlaveKind  string
	SlaveData  []byte
	Master     uint32
	Lower      uint32
	LowerID    int32  // number that the namespace has for the lower's; -1: it is the same one
	Attributes []byte // what an image keeps of the others
	OtherNames []string
	Address    []byte
	Token      []byte // the lower half of the IPv6 addresses that routers give it; nil: none
	XDP        bool   // a program of eBPF is attached
	Permanent  []byte // of a port of a bond: the address that it had before it was one
	Carrier    bool   // it is up, and the kernel has noticed that something is at its other end
}

// SettableFlags are those of IFF_* that a user sets; the others tell something.
const SettableFlags = unix.IFF_UP | unix.IFF_PROMISC | unix.IFF_ALLMULTI | unix.IFF_NOARP | unix.IFF_MULTICAST | unix.IFF_DEBUG | unix.IFF_DYNAMIC

const (
	iflaInfoSlaveKind, iflaInfoSlaveData = 4, 5
	iflaAltIfname                        = 53
)

// linkAttributes are those of an interface that a user sets, besides those that
// have a place in Link.
var linkAttributes = []uint16{
	unix.IFLA_ADDRESS, unix.IFLA_MTU, unix.IFLA_TXQLEN, unix.IFLA_LINKMODE, unix.IFLA_IFALIAS, unix.IFLA_GROUP, unix.IFLA_PROTO_DOWN,
	unix.IFLA_GSO_MAX_SEGS, unix.IFLA_GSO_MAX_SIZE,
}

// birthAttributes can be given only when it is made.
var birthAttributes = []uint16{unix.IFLA_NUM_TX_QUEUES, unix.IFLA_NUM_RX_QUEUES}

// kinds of interfaces that a restart can make, with the attributes of
// IFLA_INFO_DATA that can be set. A veth's other end, a bridge's ports: see
// format.Link.
var kinds = map[string][]uint16{
	"veth": {}, "dummy": {}, "ifb": {}, "nlmon": {},
	"vrf": {1},
	// vlan: id, flags, egress and ingress priorities, protocol.
	"vlan": {1, 2, 3, 4, 5},
	// macvlan, macvtap: mode, flags, what to do with the sources, they, length of the
	// broadcasts' queue, up to how many listeners they are handed on at once.
	"macvlan": {1, 2, 3, 5, 7, 9}, "macvtap": {1, 2, 3, 5, 7, 9},
	// ipvlan, ipvtap: mode, flags.
	"ipvlan": {1, 2}, "ipvtap": {1, 2},
	// bridge: all but what it has elected, its timers, its statistics. Its group
	// address (20), once set, no longer follows the other settings.
	"bridge": {1, 2, 3, 4, 5, 6, 7, 8, 9, 22, 23, 24, 25, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 41, 42, 43, 44, 45, 46},
	// vxlan: all but padding.
	"vxlan": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30},
	// ipip, sit, ip6tnl (IFLA_IPTUN_*): all, sit's 6rd included.
	"ipip": tunnel, "sit": tunnel, "ip6tnl": tunnel,
	// gre and its kin (IFLA_GRE_*): all.
	"gre": gre, "gretap": gre, "erspan": gre, "ip6gre": gre, "ip6gretap": gre, "ip6erspan": gre,
	// vti (IFLA_VTI_*): all.
	"vti": {1, 2, 3, 4, 5, 6}, "vti6": {1, 2, 3, 4, 5, 6},
	// xfrm (IFLA_XFRM_*): what it is on, number, whether routes tell the number.
	"xfrm": {1, 2, 3},
	// geneve: all.
	"geneve": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	// bareudp: port, protocol, lowest port of senders, several protocols.
	"bareudp": {1, 2, 3, 4},
	// bond: all but what it has agreed upon with its peer (23).
	"bond": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33},
	"vcan": {},
	// wireguard: what else it has, see internal/wireguard.
	"wireguard": {},
	// tun: made by ioctl(2). Owner, group, type, PI, VNET_HDR, PERSIST, MULTI_QUEUE.
	"tun": {1, 2, 3, 4, 5, 6, 7},
}

var (
	tunnel = []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}
	gre    = []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}
)

// ports are kinds of masters, with the attributes of IFLA_INFO_SLAVE_DATA that
// can be set.
var ports = map[string][]uint16{
	"vrf": {},
	// bridge: priority, cost, mode, guard, protect, fast leave, learning, unicast
	// flood, proxy ARP, learning sync, proxy ARP of Wi-Fi, multicast router, multicast
	// flood and to unicast, VLAN tunnel, broadcast flood, group forward mask,
	// suppression of neighbours, isolated, hosts' limit, locked.
	"bridge": {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 25, 27, 28, 29, 30, 31, 32, 33, 37, 39},
	// bond: number of its queue, priority.
	"bond": {5, 9},
}

// CanMake tells whether a restart can make an interface of that kind.
func CanMake(kind string) bool { _, ok := kinds[kind]; return ok }

// CanJoin tells whether a restart can make one a port of another of that kind.
func CanJoin(kind string) bool { _, ok := ports[kind]; return ok }

// ParseLink reads a message about an interface.
func ParseLink(body []byte) (*Link, error) {
	if len(body) < unix.SizeofIfInfomsg {
		return nil, errHeader
	}
	ne := binary.NativeEndian
	l := &Link{Index: ne.Uint32(body[4:]), Flags: ne.Uint32(body[8:]), LowerID: -1}
	all, err := netlink.Parse(body[unix.SizeofIfInfomsg:])
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		switch a.Type {
		case unix.IFLA_IFNAME:
			l.Name = a.Text()
		case unix.IFLA_MASTER:
			l.Master = a.Uint32()
		case unix.IFLA_LINK:
			l.Lower = a.Uint32()
		case unix.IFLA_LINK_NETNSID:
			if l.LowerID = int32(a.Uint32()); l.LowerID < 0 {
				l.LowerID = math.MaxInt32 // of a namespace that is ending
			}
		case unix.IFLA_LINKINFO:
			err = l.info(a.Value)
		case unix.IFLA_PROP_LIST:
			err = l.names(a.Value)
		case unix.IFLA_XDP:
			// IFLA_XDP_ATTACHED comes first: how, 0 for not at all.
			l.XDP = len(a.Value) > 4 && a.Value[4] != 0
		case unix.IFLA_ADDRESS:
			l.Address = a.Value
		case unix.IFLA_AF_SPEC:
			err = l.families(a.Value)
		case unix.IFLA_OPERSTATE:
			const up = 6 // IF_OPER_UP; IFF_RUNNING is also set as long as nothing is known
			l.Carrier = len(a.Value) > 0 && a.Value[0] == up
		}
		if err != nil {
			return nil, err
		}
	}
	keep := slices.Concat(linkAttributes, birthAttributes)
	switch l.Kind {
	case "ipvlan", "ipvtap", "ipip", "sit", "ip6tnl", "gre", "ip6gre", "vti", "vti6":
		// It has the address of what is below it, or of its end of the tunnel, as its
		// permanent one, too; if it were told its address, it had no permanent one.
		keep = slices.DeleteFunc(keep, func(a uint16) bool { return a == unix.IFLA_ADDRESS })
	}
	if l.Permanent != nil {
		for i, a := range all {
			if a.Type == unix.IFLA_ADDRESS {
				all[i].Value = l.Permanent
			}
		}
	}
	l.Attributes = only(all, keep)
	return l, nil
}

func (l *Link) info(b []byte) error {
	all, err := netlink.Parse(b)
	if err != nil {
		return err
	}
	var data, slave []netlink.Attribute
	for _, a := range all {
		switch a.Type {
		case unix.IFLA_INFO_KIND:
			l.Kind = a.Text()
		case unix.IFLA_INFO_DATA:
			data, err = netlink.Parse(a.Value)
		case iflaInfoSlaveKind:
			l.SlaveKind = a.Text()
		case iflaInfoSlaveData:
			slave, err = netlink.Parse(a.Value)
		}
		if err != nil {
			return err
		}
	}
	l.Data = only(settleData(l.Kind, data), kinds[l.Kind])
	if l.SlaveKind == "bond" {
		slave = l.settleSlave(slave)
	}
	l.SlaveData = only(slave, ports[l.SlaveKind])
	return nil
}

// settleSlave takes the address that a port of a bond had before, and what differs
// from what a new one gets: not every mode lets that be set.
func (l *Link) settleSlave(all []netlink.Attribute) []netlink.Attribute {
	const permanent = 4 // IFLA_BOND_SLAVE_PERM_HWADDR
	var kept []netlink.Attribute
	for _, a := range all {
		switch {
		case a.Type == permanent:
			l.Permanent = a.Value
		case slices.ContainsFunc(a.Value, func(b byte) bool { return b != 0 }):
			kept = append(kept, a)
		}
	}
	return kept
}

// settleData brings IFLA_INFO_DATA into the form in which kernels take it.
func settleData(kind string, all []netlink.Attribute) []netlink.Attribute {
	const (
		vlanFiltering = 7  // IFLA_BR_VLAN_FILTERING: without CONFIG_BRIDGE_VLAN_FILTERING, told but not taken
		multiBoolopt  = 46 // IFLA_BR_MULTI_BOOLOPT: values, and those that are told
		ttlInherit    = 28 // IFLA_VXLAN_TTL_INHERIT: told as a byte, taken as a flag (Linux 6.18)
		// IFLA_VXLAN_REMCSUM_*: even as 0 they change which bits are reserved (6.18).
		remcsumTX, remcsumRX = 21, 22
		// IFLA_VLAN_FLAGS: the flags, and which of them are meant. All bits are told
		// as meant, ones that no kernel knows are not taken (Linux 6.1 to 6.18).
		vlanFlags, vlanKnown = 2, 0xf
		// Those that an interface of mode source takes packets of:
		// IFLA_MACVLAN_MACADDR_DATA, and that they are to be set.
		macaddrMode, macaddrData, macaddrSet = 3, 5, 3
		// IFLA_GENEVE_TTL_INHERIT: where it is told, be it as off, the kernel
		// overlooks the TTL (geneve_nl2info, Linux 6.1 to 6.18).
		geneveTTLInherit = 12
		// IFLA_GRE_REMOTE: with frames in it, a tunnel without one is told one of zeros,
		// which is not taken (ipgre_tap_validate, Linux 6.1 to 6.18).
		greRemote = 7
	)
	frames := kind == "gretap" || kind == "erspan" || kind == "ip6gretap" || kind == "ip6erspan"
	var kept []netlink.Attribute
	for _, a := range all {
		off := !slices.ContainsFunc(a.Value, func(b byte) bool { return b != 0 })
		switch {
		case kind == "bridge" && a.Type == vlanFiltering && off,
			kind == "geneve" && off && a.Type == geneveTTLInherit,
			frames && off && a.Type == greRemote,
			kind == "vxlan" && off && (a.Type == ttlInherit || a.Type == remcsumTX || a.Type == remcsumRX):
			continue
		case kind == "vxlan" && a.Type == ttlInherit:
			a.Value = nil
		case kind == "bridge" && a.Type == multiBoolopt && len(a.Value) == 8:
			if a.Uint32() == 0 {
				continue
			}
			a.Value = append(slices.Clone(a.Value[:4]), a.Value[:4]...)
		case kind == "vlan" && a.Type == vlanFlags && len(a.Value) == 8:
			flags := a.Value[:4]
			a.Value = binary.NativeEndian.AppendUint32(slices.Clone(flags), a.Uint32()|vlanKnown)
		case (kind == "macvlan" || kind == "macvtap") && a.Type == macaddrData:
			if len(a.Value) == 0 {
				continue
			}
			kept = append(kept, netlink.Uint32(macaddrMode, macaddrSet))
		}
		kept = append(kept, a)
	}
	return kept
}

// families reads what an interface is to each family of addresses.
func (l *Link) families(b []byte) error {
	const token = 7 // IFLA_INET6_TOKEN
	all, err := netlink.Parse(b)
	if err != nil {
		return err
	}
	for _, family := range all {
		if family.Type != unix.AF_INET6 {
			continue
		}
		inner, err := netlink.Parse(family.Value)
		if err != nil {
			return err
		}
		for _, a := range inner {
			if a.Type == token && len(a.Value) == 16 && slices.ContainsFunc(a.Value, func(b byte) bool { return b != 0 }) {
				l.Token = a.Value
			}
		}
	}
	return nil
}

func (l *Link) names(b []byte) error {
	all, err := netlink.Parse(b)
	for _, a := range all {
		if a.Type == iflaAltIfname {
			l.OtherNames = append(l.OtherNames, a.Text())
		}
	}
	return err
}

func only(all []netlink.Attribute, keep []uint16) []byte {
	var b []byte
	for _, a := range all {
		if slices.Contains(keep, a.Type) {
			b = netlink.Append(b, a)
		}
	}
	return b
}

// CheckLink says whether the attributes of an image's interface are ones that
// ParseLink could have kept.
func CheckLink(kind string, data []byte, slaveKind string, slaveData, attributes []byte) error {
	for _, part := range []struct {
		what string
		b    []byte
		keep []uint16
	}{
		{"kind " + kind, data, kinds[kind]},
		{"port of kind " + slaveKind, slaveData, ports[slaveKind]},
		{"interface", attributes, slices.Concat(linkAttributes, birthAttributes)},
	} {
		all, err := netlink.Parse(part.b)
		if err != nil || len(part.b) > maxBody/2 {
			return fmt.Errorf("%s: attributes that are cut off or too long", part.what)
		}
		for _, a := range all {
			if !slices.Contains(part.keep, a.Type) {
				return fmt.Errorf("%s: attribute %d, which this version does not know", part.what, a.Type)
			}
		}
	}
	return nil
}

// Settable are those attributes of an interface that can be changed when it
// exists, and Birth those that can't.
func Settable(attributes []byte) []byte { return pick(attributes, linkAttributes) }

// Birth are those that it has to be made with. Of some kinds, the address can't be
// changed later. A bridge that is given one no longer has its ports' lowest.
func Birth(kind string, attributes []byte) []byte {
	if kind == "bridge" {
		return pick(attributes, birthAttributes)
	}
	return pick(attributes, slices.Concat(birthAttributes, []uint16{unix.IFLA_ADDRESS}))
}

func pick(b []byte, keep []uint16) []byte {
	all, _ := netlink.Parse(b) // CheckLink has seen them
	return only(all, keep)
}

// Body is that of a message about an interface: flags are those that mask has.
func Body(index, flags, mask uint32, attributes ...[]byte) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	ne := binary.NativeEndian
	ne.PutUint32(b[4:], index)
	ne.PutUint32(b[8:], flags)
	ne.PutUint32(b[12:], mask)
	for _, a := range attributes {
		b = append(b, a...)
	}
	return b
}

// Links lists the interfaces of a namespace.
func Links(c *netlink.Conn) ([]*Link, error) {
	all, err := c.Dump(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg))
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	var links []*Link
	for _, m := range all {
		if m.Type != unix.RTM_NEWLINK {
			continue
		}
		l, err := ParseLink(m.Body)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}
