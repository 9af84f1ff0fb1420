// Package rtnl says what of rtnetlink(7)'s messages belongs into an image: which
// attributes, and in what form two of the same thing are the same bytes. So
// nothing in an image reaches a kernel but what stands here.
package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// Thing is a kind of what can be set in a network namespace.
type Thing struct {
	Name          string
	New, Del, Get uint16 // types of messages
	header        int    // bytes before the attributes
	families      []byte
	keep          []uint16 // attributes
	// settle brings a message of the kernel's into the form of an image; false:
	// it does not belong there.
	settle func(header []byte, all []netlink.Attribute) ([]netlink.Attribute, bool)
	// split makes several messages of one of the kernel's, where that tells several
	// things; nil: it tells one. told is the type of such a message, if it is not New.
	split func(body []byte) ([][]byte, error)
	told  uint16
	// passing are attributes that change by themselves, or are no part of what
	// the thing is.
	passing []uint16
}

// maxBody is what a message of these may have: an attribute's length has 16 bits.
const maxBody = 64 << 10

// Keep is what an image has of the body of a message of the kernel's; false: it
// has nothing of it.
func (t *Thing) Keep(body []byte) ([]byte, bool, error) {
	if len(body) < t.header {
		return nil, false, fmt.Errorf("a short message about a %s", t.Name)
	}
	header := slices.Clone(body[:t.header])
	all, err := netlink.Parse(body[t.header:])
	if err != nil {
		return nil, false, err
	}
	if !slices.Contains(t.families, header[0]) {
		return nil, false, nil
	}
	all, ok := t.settle(header, all)
	if !ok {
		return nil, false, nil
	}
	all = slices.DeleteFunc(all, func(a netlink.Attribute) bool { return !slices.Contains(t.keep, a.Type) })
	return t.put(header, all), true, nil
}

func (t *Thing) put(header []byte, all []netlink.Attribute) []byte {
	slices.SortStableFunc(all, func(a, b netlink.Attribute) int { return int(a.Type) - int(b.Type) })
	for _, a := range all {
		header = netlink.Append(header, a)
	}
	return header
}

// Check says whether a body of an image is one that Keep could have made.
func (t *Thing) Check(body []byte) error {
	if len(body) < t.header || len(body) > maxBody || !slices.Contains(t.families, body[0]) {
		return fmt.Errorf("a %s of %d bytes, or of a family that can't be", t.Name, len(body))
	}
	all, err := netlink.Parse(body[t.header:])
	if err != nil {
		return fmt.Errorf("a %s: %w", t.Name, err)
	}
	for _, a := range all {
		if !slices.Contains(t.keep, a.Type) {
			return fmt.Errorf("a %s with attribute %d, which this version does not know", t.Name, a.Type)
		}
	}
	return nil
}

// Key is a body without what changes by itself: equal for the same thing.
func (t *Thing) Key(body []byte) string {
	if len(t.passing) == 0 {
		return string(body)
	}
	all, err := netlink.Parse(body[t.header:])
	if err != nil {
		return string(body)
	}
	all = slices.DeleteFunc(all, func(a netlink.Attribute) bool { return slices.Contains(t.passing, a.Type) })
	return string(t.put(slices.Clone(body[:t.header]), all))
}

// Passes tells whether a body has what changes by itself.
func (t *Thing) Passes(body []byte) bool { return t.Key(body) != string(body) }

// Index is the interface that it is of, 0 if there is none.
func (t *Thing) Index(body []byte) uint32 {
	if t == Addresses || t == Neighbours || t == Labels || t == Groups {
		return binary.NativeEndian.Uint32(body[4:])
	}
	all, _ := netlink.Parse(body[t.header:])
	for _, a := range all {
		if t == Routes && a.Type == unix.RTA_OIF || t == Nexthops && a.Type == unix.NHA_OIF {
			return a.Uint32()
		}
	}
	return 0
}

// Things are all of them, in the order in which they can be made.
var Things = []*Thing{Addresses, Nexthops, Routes, Rules, Neighbours, Labels, Groups}

var internet = []byte{unix.AF_INET, unix.AF_INET6}

// Addresses are those of interfaces (struct ifaddrmsg).
var Addresses = &Thing{
	Name: "address", New: unix.RTM_NEWADDR, Del: unix.RTM_DELADDR, Get: unix.RTM_GETADDR,
	header: unix.SizeofIfAddrmsg, families: internet,
	keep: []uint16{
		unix.IFA_ADDRESS, unix.IFA_LOCAL, unix.IFA_LABEL, unix.IFA_BROADCAST, unix.IFA_CACHEINFO, unix.IFA_FLAGS, unix.IFA_RT_PRIORITY, ifaProto,
	},
	passing: []uint16{unix.IFA_CACHEINFO},
	settle:  settleAddress,
}

const (
	ifaProto             = 11 // IFA_PROTO, Linux 5.18
	nhaFDB               = 11 // NHA_FDB
	nhaResGroup          = 12 // NHA_RES_GROUP, Linux 5.13
	rtaNHID              = 30 // RTA_NH_ID
	ndaProtocol, ndaNHID = 12, 13
	// Flags of an address that can be set; the others the kernel works out.
	settableAddress = unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN
	forever         = ^uint32(0)
)

func settleAddress(header []byte, all []netlink.Attribute) ([]netlink.Attribute, bool) {
	header[2] = 0 // the flags' first byte, which IFA_FLAGS has as well
	var kept []netlink.Attribute
	for _, a := range all {
		switch {
		case a.Type == unix.IFA_FLAGS:
			a = netlink.Uint32(a.Type, a.Uint32()&settableAddress)
		case a.Type == unix.IFA_CACHEINFO && len(a.Value) >= 16:
			ne := binary.NativeEndian
			preferred, valid := ne.Uint32(a.Value), ne.Uint32(a.Value[4:])
			if preferred == forever && valid == forever {
				continue
			}
			v := make([]byte, 16) // without when it was made
			ne.PutUint32(v, preferred)
			ne.PutUint32(v[4:], valid)
			a = netlink.Bytes(a.Type, v)
		}
		kept = append(kept, a)
	}
	return kept, true
}

// Nexthops are objects that routes share (struct nhmsg).
var Nexthops = &Thing{
	Name: "nexthop", New: unix.RTM_NEWNEXTHOP, Del: unix.RTM_DELNEXTHOP, Get: unix.RTM_GETNEXTHOP,
	header: 8, families: []byte{unix.AF_UNSPEC, unix.AF_INET, unix.AF_INET6},
	keep: []uint16{
		unix.NHA_ID, unix.NHA_GROUP, unix.NHA_GROUP_TYPE, unix.NHA_BLACKHOLE, unix.NHA_OIF, unix.NHA_GATEWAY, unix.NHA_ENCAP_TYPE, unix.NHA_ENCAP,
		nhaFDB, nhaResGroup,
	},
	settle: settleNexthop,
}

func settleNexthop(header []byte, all []netlink.Attribute) ([]netlink.Attribute, bool) {
	const unbalancedTime = 4 // NHA_RES_GROUP_UNBALANCED_TIME: told, not taken
	header[1] = 0            // the scope, which the kernel works out
	maskFlags(header[4:8])
	for i, a := range all {
		if a.Type != nhaResGroup {
			continue
		}
		inner, err := netlink.Parse(a.Value)
		if err != nil {
			return nil, false
		}
		inner = slices.DeleteFunc(inner, func(a netlink.Attribute) bool { return a.Type == unbalancedTime })
		all[i] = netlink.Nest(nhaResGroup, inner...)
	}
	return all, true
}

// Routes are those of all tables (struct rtmsg).
var Routes = &Thing{
	Name: "route", New: unix.RTM_NEWROUTE, Del: unix.RTM_DELROUTE, Get: unix.RTM_GETROUTE,
	header: unix.SizeofRtMsg, families: internet,
	keep: []uint16{
		unix.RTA_DST, unix.RTA_SRC, unix.RTA_OIF, unix.RTA_GATEWAY, unix.RTA_PRIORITY, unix.RTA_PREFSRC, unix.RTA_METRICS, unix.RTA_MULTIPATH,
		unix.RTA_FLOW, unix.RTA_TABLE, unix.RTA_VIA, unix.RTA_PREF, unix.RTA_ENCAP_TYPE, unix.RTA_ENCAP, unix.RTA_EXPIRES,
		unix.RTA_TTL_PROPAGATE, rtaNHID,
	},
	passing: []uint16{unix.RTA_EXPIRES},
	settle:  settleRoute,
}

func settleRoute(header []byte, all []netlink.Attribute) ([]netlink.Attribute, bool) {
	family, protocol, typ := header[0], header[5], header[7]
	ne := binary.NativeEndian
	table, object := uint32(header[4]), false
	for _, a := range all {
		if a.Type == unix.RTA_TABLE {
			table = a.Uint32()
		}
		object = object || a.Type == rtaNHID
	}
	switch {
	case ne.Uint32(header[8:])&unix.RTM_F_CLONED != 0: // of the cache
		return nil, false
	case protocol == unix.RTPROT_KERNEL && (table == unix.RT_TABLE_LOCAL || typ == unix.RTN_MULTICAST || typ == unix.RTN_ANYCAST):
		return nil, false // comes and goes with addresses and interfaces
	}
	maskFlags(header[8:])
	var kept []netlink.Attribute
	for _, a := range all {
		switch a.Type {
		case unix.RTA_GATEWAY, unix.RTA_OIF, unix.RTA_MULTIPATH, unix.RTA_VIA, unix.RTA_ENCAP_TYPE, unix.RTA_ENCAP:
			if object { // told for programs that do not know such objects
				continue
			}
			if a.Type == unix.RTA_MULTIPATH {
				a.Value = settleHops(a.Value)
			}
		case unix.RTA_CACHEINFO:
			if expires := expiry(a.Value); family == unix.AF_INET6 && expires > 0 {
				kept = append(kept, netlink.Uint32(unix.RTA_EXPIRES, expires))
			}
			continue
		}
		kept = append(kept, a)
	}
	return kept, true
}

// expiry is rta_expires of struct rta_cacheinfo, in seconds.
func expiry(b []byte) uint32 {
	const at, ticks = 8, 100 // USER_HZ
	if len(b) < at+4 {
		return 0
	}
	return uint32(max(0, int32(binary.NativeEndian.Uint32(b[at:])))) / ticks
}

// maskFlags leaves of RTNH_F_* those that can be set.
func maskFlags(b []byte) {
	ne := binary.NativeEndian
	ne.PutUint32(b, ne.Uint32(b)&(unix.RTNH_F_ONLINK|unix.RTNH_F_PERVASIVE))
}

// settleHops does that for each struct rtnexthop.
func settleHops(b []byte) []byte {
	b = slices.Clone(b)
	for rest := b; len(rest) >= unix.SizeofRtNexthop; {
		rest[2] &= unix.RTNH_F_ONLINK | unix.RTNH_F_PERVASIVE
		size := int(binary.NativeEndian.Uint16(rest))
		if size < unix.SizeofRtNexthop {
			break
		}
		rest = rest[min(len(rest), (size+3)&^3):]
	}
	return b
}

// Rules say which table a packet's route is looked up in (struct fib_rule_hdr).
var Rules = &Thing{
	Name: "routing rule", New: unix.RTM_NEWRULE, Del: unix.RTM_DELRULE, Get: unix.RTM_GETRULE,
	header: 12, families: internet,
	keep: []uint16{
		unix.FRA_DST, unix.FRA_SRC, unix.FRA_IIFNAME, unix.FRA_GOTO, unix.FRA_PRIORITY, unix.FRA_FWMARK, unix.FRA_FLOW, unix.FRA_TUN_ID,
		unix.FRA_SUPPRESS_IFGROUP, unix.FRA_SUPPRESS_PREFIXLEN, unix.FRA_TABLE, unix.FRA_FWMASK, unix.FRA_OIFNAME, unix.FRA_L3MDEV,
		unix.FRA_UID_RANGE, unix.FRA_PROTOCOL, unix.FRA_IP_PROTO, unix.FRA_SPORT_RANGE, unix.FRA_DPORT_RANGE,
	},
	settle: func(header []byte, all []netlink.Attribute) ([]netlink.Attribute, bool) {
		ne := binary.NativeEndian
		ne.PutUint32(header[8:], ne.Uint32(header[8:])&unix.FIB_RULE_INVERT)
		if !slices.ContainsFunc(all, func(a netlink.Attribute) bool { return a.Type == unix.FRA_PRIORITY }) {
			all = append(all, netlink.Uint32(unix.FRA_PRIORITY, 0)) // not told, and another if not given
		}
		return all, true
	},
}

// Neighbours are those of ARP and its like that stay (struct ndmsg), and the
// addresses that bridges and vxlan interfaces know.
var Neighbours = &Thing{
	Name: "neighbour", New: unix.RTM_NEWNEIGH, Del: unix.RTM_DELNEIGH, Get: unix.RTM_GETNEIGH,
	header: unix.SizeofNdMsg, families: []byte{unix.AF_INET, unix.AF_INET6, unix.AF_BRIDGE},
	keep: []uint16{
		unix.NDA_DST, unix.NDA_LLADDR, unix.NDA_VLAN, unix.NDA_PORT, unix.NDA_VNI, unix.NDA_IFINDEX, unix.NDA_SRC_VNI, ndaProtocol, ndaNHID,
	},
	settle: settleNeighbour,
}

func settleNeighbour(header []byte, all []netlink.Attribute) ([]netlink.Attribute, bool) {
	ne := binary.NativeEndian
	family, index := header[0], ne.Uint32(header[4:])
	state, flags := ne.Uint16(header[8:]), header[10]
	header[11] = 0 // its type, which the kernel works out
	if family != unix.AF_BRIDGE {
		proxy := flags&unix.NTF_PROXY != 0
		if proxy {
			ne.PutUint16(header[8:], 0)
		}
		return all, proxy || state&unix.NUD_PERMANENT != 0 || flags&unix.NTF_EXT_LEARNED != 0 || state&unix.NUD_NOARP != 0 && toOne(all)
	}
	if state&(unix.NUD_PERMANENT|unix.NUD_NOARP) == 0 {
		return nil, false // learnt
	}
	for _, a := range all {
		switch {
		case a.Type == unix.NDA_LLADDR && len(a.Value) > 0 && a.Value[0]&1 != 0 && flags&unix.NTF_SELF != 0:
			// A group that the kernel has joined. All others than that of IPv4 and
			// IPv6 are of a vxlan's, and have a destination.
			if !slices.ContainsFunc(all, func(a netlink.Attribute) bool { return a.Type == unix.NDA_DST }) {
				return nil, false
			}
		case a.Type == unix.NDA_MASTER && a.Uint32() != index:
			header[10] |= unix.NTF_MASTER
		case a.Type == unix.NDA_MASTER:
			header[10] |= unix.NTF_SELF
		}
	}
	return all, true
}

// toOne tells whether a neighbour has the address of one other host. Those with none
// and of groups the kernel makes by itself.
func toOne(all []netlink.Attribute) bool {
	i := slices.IndexFunc(all, func(a netlink.Attribute) bool { return a.Type == unix.NDA_LLADDR })
	return i >= 0 && len(all[i].Value) > 0 && all[i].Value[0]&1 == 0 && slices.ContainsFunc(all[i].Value, func(b byte) bool { return b != 0 })
}

// List asks for all things of a kind that belong into an image.
func (t *Thing) List(c *netlink.Conn) ([][]byte, error) {
	var list [][]byte
	for _, request := range t.requests() {
		all, err := c.Dump(t.Get, request)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPROTONOSUPPORT) {
			continue // a kernel without it
		}
		if err != nil {
			return nil, fmt.Errorf("list each %s: %w", t.Name, err)
		}
		for _, m := range all {
			// A kernel without a family answers for all that it has.
			if m.Type != t.New && (t.told == 0 || m.Type != t.told) || len(m.Body) == 0 || t.split == nil && request[0] != unix.AF_UNSPEC && m.Body[0] != request[0] {
				continue
			}
			bodies := [][]byte{m.Body}
			if t.split != nil {
				if bodies, err = t.split(m.Body); err != nil {
					return nil, err
				}
			}
			for _, body := range bodies {
				kept, ok, err := t.Keep(body)
				if err != nil {
					return nil, err
				}
				if ok {
					list = append(list, kept)
				}
			}
		}
	}
	return list, nil
}

func (t *Thing) requests() [][]byte {
	request := func(family byte) []byte {
		b := make([]byte, t.header)
		b[0] = family
		return b
	}
	switch t {
	case Nexthops:
		return [][]byte{request(unix.AF_UNSPEC)}
	case Labels:
		return [][]byte{request(unix.AF_INET6)}
	case Groups:
		return [][]byte{request(unix.AF_BRIDGE)}
	case Neighbours:
		var all [][]byte
		for _, family := range internet {
			proxies := request(family)
			proxies[10] = unix.NTF_PROXY
			all = append(all, request(family), proxies)
		}
		bridge := make([]byte, unix.SizeofIfInfomsg)
		bridge[0] = unix.AF_BRIDGE
		return append(all, bridge)
	}
	return [][]byte{request(unix.AF_INET), request(unix.AF_INET6)}
}

var errHeader = errors.New("a message about an interface that is cut off")

// Describe names a thing for an operator: "address 10.0.0.2/24 of interface 3".
func Describe(t *Thing, body []byte) string {
	all, _ := netlink.Parse(body[t.header:])
	find := func(typ uint16) []byte {
		for _, a := range all {
			if a.Type == typ {
				return a.Value
			}
		}
		return nil
	}
	address := func(typ uint16, length byte) string {
		if a, ok := netip.AddrFromSlice(find(typ)); ok {
			return netip.PrefixFrom(a, int(length)).String()
		}
		return "default"
	}
	ne := binary.NativeEndian
	switch t {
	case Addresses:
		local := uint16(unix.IFA_LOCAL)
		if find(local) == nil {
			local = unix.IFA_ADDRESS
		}
		return fmt.Sprintf("address %s of interface %d", address(local, body[1]), ne.Uint32(body[4:]))
	case Routes:
		s := "route " + address(unix.RTA_DST, body[1])
		if gateway, ok := netip.AddrFromSlice(find(unix.RTA_GATEWAY)); ok {
			s += " via " + gateway.String()
		}
		if oif := t.Index(body); oif != 0 {
			s += fmt.Sprintf(" by interface %d", oif)
		}
		table := uint32(body[4])
		if v := find(unix.RTA_TABLE); len(v) >= 4 {
			table = ne.Uint32(v)
		}
		return fmt.Sprintf("%s in table %d", s, table)
	case Rules:
		if v := find(unix.FRA_PRIORITY); len(v) >= 4 {
			return fmt.Sprintf("routing rule %d", ne.Uint32(v))
		}
	case Nexthops:
		if v := find(unix.NHA_ID); len(v) >= 4 {
			return fmt.Sprintf("nexthop %d", ne.Uint32(v))
		}
	case Neighbours:
		return fmt.Sprintf("neighbour %s of interface %d", address(unix.NDA_DST, byte(8*len(find(unix.NDA_DST)))), t.Index(body))
	}
	return "a " + t.Name
}
