package namespaces

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/netlink"
)

// refuseVLANs refuses bridges and ports of bridges that have other VLANs than a new
// one gets: that of the bridge's default, untagged.
func (r *Result) refuseVLANs(c *netlink.Conn, n *object) error {
	const (
		withVLANs = 2           // RTEXT_FILTER_BRVLAN
		vlanInfo  = 2           // IFLA_BRIDGE_VLAN_INFO: struct bridge_vlan_info, flags and id
		usual     = 1<<1 | 1<<2 // BRIDGE_VLAN_INFO_PVID, BRIDGE_VLAN_INFO_UNTAGGED
	)
	request := make([]byte, unix.SizeofIfInfomsg)
	request[0] = unix.AF_BRIDGE
	all, err := c.Dump(unix.RTM_GETLINK, netlink.Append(request, netlink.Uint32(unix.IFLA_EXT_MASK, withVLANs)))
	if err != nil {
		return fmt.Errorf("list the ports of bridges: %w", err)
	}
	ne := binary.NativeEndian
	for _, m := range all {
		if m.Type != unix.RTM_NEWLINK || len(m.Body) < unix.SizeofIfInfomsg {
			continue
		}
		link := linkOf(n, ne.Uint32(m.Body[4:]))
		bridge := link
		if link != nil && link.Master != 0 {
			bridge = linkOf(n, link.Master)
		}
		if bridge == nil || bridge.Kind != "bridge" {
			continue
		}
		attributes, err := netlink.Parse(m.Body[unix.SizeofIfInfomsg:])
		if err != nil {
			return err
		}
		for _, a := range attributes {
			if a.Type != unix.IFLA_AF_SPEC {
				continue
			}
			vlans, err := netlink.Parse(a.Value)
			if err != nil {
				return err
			}
			for _, v := range vlans {
				if v.Type != vlanInfo || len(v.Value) < 4 {
					continue
				}
				if flags, id := ne.Uint16(v.Value), ne.Uint16(v.Value[2:]); flags != usual || id != defaultVLAN(bridge) {
					r.refuseLink(n, link, fmt.Sprintf("VLAN %d of a bridge's port can't be set again by this version", id),
						fmt.Sprintf("remove it (bridge vlan del dev %s vid %d), or have one bridge for each VLAN", link.Name, id))
					break
				}
			}
		}
	}
	return nil
}

func linkOf(n *object, index uint32) *format.Link {
	for _, l := range n.Links {
		if l.Index == index {
			return l
		}
	}
	return nil
}

// defaultVLAN is the one that a bridge's new ports get.
func defaultVLAN(bridge *format.Link) uint16 {
	const defaultPVID = 39 // IFLA_BR_VLAN_DEFAULT_PVID
	all, _ := netlink.Parse(bridge.Data)
	for _, a := range all {
		if a.Type == defaultPVID && len(a.Value) == 2 {
			return binary.NativeEndian.Uint16(a.Value)
		}
	}
	return 1
}
