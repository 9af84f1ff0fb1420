package namespaces

import (
	"encoding/binary"
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/netlink"
	"lxc-checkpoint/internal/rtnl"
)

// lookAtVLANs finds the VLANs of bridges and of their ports.
func (r *Result) lookAtVLANs(c *netlink.Conn, n *object) error {
	all, err := rtnl.BridgeVLANs(c)
	if err != nil {
		return err
	}
	for index, vlans := range all {
		link := linkOf(n, index)
		bridge := link
		if link != nil && link.Kind != "bridge" {
			bridge = linkOf(n, link.Master)
		}
		if bridge == nil || bridge.Kind != "bridge" || !filters(bridge) && (len(vlans.List) == 0 || vlans.Usual(defaultVLAN(bridge))) {
			continue
		}
		if vlans.Tunnels {
			r.refuseLink(n, link, "a bridge leads its VLANs through a tunnel (vlan_tunnel), which this version can't set again",
				fmt.Sprintf("remove that (bridge vlan del dev %s vid VLAN tunnel_info id TUNNEL)", link.Name))
			continue
		}
		link.Vlans, link.HasVlans = vlans.List, true
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

// Of IFLA_BR_*.
const vlanFiltering, defaultPVID = 7, 39

// filters tells whether a bridge tells VLANs apart.
func filters(bridge *format.Link) bool {
	all, _ := netlink.Parse(bridge.Data)
	for _, a := range all {
		if a.Type == vlanFiltering && len(a.Value) == 1 {
			return a.Value[0] != 0
		}
	}
	return false
}

// defaultVLAN is the one that a bridge's new ports get.
func defaultVLAN(bridge *format.Link) uint16 {
	all, _ := netlink.Parse(bridge.Data)
	for _, a := range all {
		if a.Type == defaultPVID && len(a.Value) == 2 {
			return binary.NativeEndian.Uint16(a.Value)
		}
	}
	return 1
}
