package rtnl

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// VLANs are those of a bridge, or of a port of one.
type VLANs struct {
	List    []uint32 // number, and in the upper half the flags below, in order
	Tunnels bool     // some lead through a tunnel
}

// Of a VLAN: packets without a tag belong to it; its packets go out without one.
const (
	vlanPVID     = 1 << 1 // BRIDGE_VLAN_INFO_PVID
	vlanUntagged = 1 << 2 // BRIDGE_VLAN_INFO_UNTAGGED

	// Of the attributes of IFLA_AF_SPEC.
	bridgeFlags, bridgeVLANInfo, bridgeVLANTunnelInfo = 0, 2, 3

	maxVLAN = 4094
)

// Usual tells whether they are what a new port gets: the default one, untagged.
func (v *VLANs) Usual(normal uint16) bool {
	return !v.Tunnels && len(v.List) == 1 && v.List[0] == (vlanPVID|vlanUntagged)<<16|uint32(normal)
}

// CheckVLAN says whether a VLAN of an image is one that BridgeVLANs could have told.
func CheckVLAN(v uint32) error {
	if id := v & 0xffff; id == 0 || id > maxVLAN || v>>16&^(vlanPVID|vlanUntagged) != 0 {
		return fmt.Errorf("VLAN %d with flags %#x", id, v>>16)
	}
	return nil
}

// BridgeVLANs lists the VLANs of bridges and of their ports, by the numbers of these.
func BridgeVLANs(c *netlink.Conn) (map[uint32]*VLANs, error) {
	const withVLANs = 2 // RTEXT_FILTER_BRVLAN
	request := make([]byte, unix.SizeofIfInfomsg)
	request[0] = unix.AF_BRIDGE
	told, err := c.Dump(unix.RTM_GETLINK, netlink.Append(request, netlink.Uint32(unix.IFLA_EXT_MASK, withVLANs)))
	if err != nil {
		return nil, fmt.Errorf("list the ports of bridges: %w", err)
	}
	ne, all := binary.NativeEndian, map[uint32]*VLANs{}
	for _, m := range told {
		if m.Type != unix.RTM_NEWLINK || len(m.Body) < unix.SizeofIfInfomsg {
			continue
		}
		attributes, err := netlink.Parse(m.Body[unix.SizeofIfInfomsg:])
		if err != nil {
			return nil, err
		}
		v := &VLANs{}
		for _, a := range attributes {
			if a.Type != unix.IFLA_AF_SPEC {
				continue
			}
			inner, err := netlink.Parse(a.Value)
			if err != nil {
				return nil, err
			}
			for _, i := range inner {
				switch {
				case i.Type == bridgeVLANTunnelInfo:
					v.Tunnels = true
				case i.Type == bridgeVLANInfo && len(i.Value) >= 4:
					v.List = append(v.List, uint32(ne.Uint16(i.Value)&(vlanPVID|vlanUntagged))<<16|uint32(ne.Uint16(i.Value[2:])))
				}
			}
		}
		all[ne.Uint32(m.Body[4:])] = v
	}
	return all, nil
}

// SetVLANs has a bridge itself, or a port of one, have these VLANs instead of those.
// Those that stay are told once more: it is the last PVID that counts.
func SetVLANs(c *netlink.Conn, index uint32, itself bool, want, have []uint32) error {
	for _, v := range have {
		if !slices.ContainsFunc(want, func(w uint32) bool { return w&0xffff == v&0xffff }) {
			if err := changeVLAN(c, unix.RTM_DELLINK, index, itself, v&0xffff); err != nil {
				return fmt.Errorf("take it out of VLAN %d: %w", v&0xffff, err)
			}
		}
	}
	for _, v := range want {
		if slices.Contains(have, v) {
			continue
		}
		if err := changeVLAN(c, unix.RTM_SETLINK, index, itself, v); err != nil {
			return fmt.Errorf("put it into VLAN %d: %w", v&0xffff, err)
		}
	}
	return nil
}

func changeVLAN(c *netlink.Conn, typ uint16, index uint32, itself bool, v uint32) error {
	const self = 2 // BRIDGE_FLAGS_SELF
	info := binary.NativeEndian.AppendUint16(nil, uint16(v>>16))
	info = binary.NativeEndian.AppendUint16(info, uint16(v))
	spec := []netlink.Attribute{netlink.Bytes(bridgeVLANInfo, info)}
	if itself {
		spec = append([]netlink.Attribute{netlink.Bytes(bridgeFlags, binary.NativeEndian.AppendUint16(nil, self))}, spec...)
	}
	body := make([]byte, unix.SizeofIfInfomsg)
	body[0] = unix.AF_BRIDGE
	binary.NativeEndian.PutUint32(body[4:], index)
	return c.Do(typ, 0, netlink.Append(body, netlink.Nest(unix.IFLA_AF_SPEC, spec...)))
}
