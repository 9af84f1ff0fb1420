package namespaces

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/conntrack"
	"lxc-checkpoint/internal/ipset"
	"lxc-checkpoint/internal/iptables"
	"lxc-checkpoint/internal/netlink"
	"lxc-checkpoint/internal/nft"
	"lxc-checkpoint/internal/rtnl"
	"lxc-checkpoint/internal/wireguard"
	"lxc-checkpoint/internal/xfrm"
	"lxc-checkpoint/refusal"
)

// lower is an interface of a namespace whose other end, or what lies below it,
// is in another one.
type lower struct {
	of   *object
	link *format.Link
	id   int32 // the number that the namespace has for the other one
}

// network looks at a network namespace of the container's own: its interfaces,
// and what is set in it.
func network(res *Result, n *object) error {
	if !n.Own {
		return nil
	}
	return n.inside(func() error {
		c, err := netlink.Open(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := res.lookAtLinks(c, n); err != nil {
			return err
		}
		if err := res.lookAtVLANs(c, n); err != nil {
			return err
		}
		if err := res.lostInNetwork(c, n); err != nil {
			return err
		}
		n.Network = new(format.Network)
		for thing, list := range map[*rtnl.Thing]*[][]byte{
			rtnl.Addresses: &n.Network.Addresses, rtnl.Nexthops: &n.Network.Nexthops, rtnl.Routes: &n.Network.Routes,
			rtnl.Rules: &n.Network.Rules, rtnl.Neighbours: &n.Network.Neighbours,
			rtnl.Labels: &n.Network.Labels, rtnl.Groups: &n.Network.Groups,
		} {
			if *list, err = thing.List(c); err != nil {
				return err
			}
		}
		if err := res.lookAtFilters(n); err != nil {
			return err
		}
		if err := res.lookAtIPsec(n); err != nil {
			return err
		}
		if n.Network.Connections, err = conntrack.List(); err != nil {
			return err
		}
		return rtnl.Sysctls(func(name, value string) {
			n.Network.Sysctls = append(n.Network.Sysctls, &format.Sysctl{Name: name, Value: value})
		})
	})
}

// Networks are the network namespaces by their inode, each with a task that is in it.
func (r *Result) Networks() map[uint64]int {
	all := map[uint64]int{}
	for _, o := range r.order {
		if o.Kind == format.NamespaceKind_NET && o.pid != 0 {
			all[o.Inode] = o.pid
		}
	}
	return all
}

func (r *Result) lookAtLinks(c *netlink.Conn, n *object) error {
	links, err := rtnl.Links(c)
	if err != nil {
		return err
	}
	multicast, err := rtnl.Multicast()
	if err != nil {
		return err
	}
	for _, l := range links {
		if madeByKernel[l.Name] && l.Flags&unix.IFF_UP == 0 {
			continue
		}
		link := &format.Link{
			Name: l.Name, Up: l.Flags&unix.IFF_UP != 0, Index: l.Index, Flags: l.Flags & rtnl.SettableFlags,
			Kind: l.Kind, Data: l.Data, SlaveKind: l.SlaveKind, SlaveData: l.SlaveData, Master: l.Master,
			Lower: l.Lower, Attributes: l.Attributes, OtherNames: l.OtherNames, Running: l.Carrier,
			Token: l.Token, Multicast: multicast[l.Index],
		}
		n.Links = append(n.Links, link)
		if l.Kind == wireguard.Kind {
			if link.Wireguard, err = wireguard.List(l.Index); err != nil {
				return fmt.Errorf("network interface %s: %w", l.Name, err)
			}
		}
		switch {
		case l.XDP:
			r.refuseLink(n, link, "a program of eBPF is attached to it (XDP)", "take it off (ip link set "+l.Name+" xdp off)")
		case l.Master != 0 && !rtnl.CanJoin(l.SlaveKind):
			r.refuseLink(n, link, "it is a port of an interface of kind "+l.SlaveKind+", and this version can't make such a one", "take it out (ip link set "+l.Name+" nomaster)")
		case l.Kind == "" && l.Flags&unix.IFF_LOOPBACK == 0:
			r.outside(n, link, "it is a device of the host")
		case madeByKernel[l.Name]:
			r.refuseLink(n, link, "it is the one that the kernel gives each namespace by itself, and it is up", "set it down (ip link set "+l.Name+" down), and make another one for what it does (ip link add)")
		case l.LowerID >= 0:
			r.links = append(r.links, lower{of: n, link: link, id: l.LowerID})
		case l.Kind != "" && !rtnl.CanMake(l.Kind):
			r.refuseLink(n, link, "an interface of kind "+l.Kind+" can't be made again by this version", "remove it (ip link del "+l.Name+")")
		}
	}
	return nil
}

// lookAtFilters lists the rule set of nf_tables, which iptables-nft writes, too, the
// tables of the old iptables, and the sets of addresses that these refer to.
func (r *Result) lookAtFilters(n *object) error {
	rules, owned, err := nft.List()
	if err != nil {
		return err
	}
	for _, t := range owned {
		r.refused = append(r.refused, &refusal.Refusal{
			Object: "packet filter", Kind: "table " + t.Table + " of nf_tables",
			Reason: "it belongs to a program's socket (flag owner), and a restart can't make such a one", Remedy: "end the program, or have it make the table without that flag (firewalld: NftablesTableOwner=no)",
		})
	}
	if n.Network.Ipsets, err = ipset.List(); err != nil {
		return err
	}
	tables, err := iptables.List()
	if err != nil {
		return err
	}
	for _, t := range tables {
		n.Network.Tables = append(n.Network.Tables, &format.IptablesTable{
			Kind: t.Kind, Name: t.Name, Hooks: t.Hooks, HookEntries: t.HookEntry, Underflows: t.Underflow, Rules: t.Rules, Entries: t.Entries,
		})
	}
	for _, m := range rules {
		n.Network.Nftables = append(n.Network.Nftables, &format.Nftables{Type: uint32(m.Type), Body: m.Body, Handle: m.Handle})
	}
	return nil
}

// lookAtIPsec lists its policies.
func (r *Result) lookAtIPsec(n *object) error {
	policies, associations, err := xfrm.List()
	if err != nil {
		return err
	}
	n.Network.Policies = policies
	if associations > 0 {
		refused := &refusal.Refusal{
			Object: "IPsec (ip xfrm state)", Kind: fmt.Sprintf("%d security associations", associations),
			Reason: "this version can't save their keys and counters",
			Remedy: "remove them, and have them made anew afterwards by who had made them (ip xfrm state flush; of strongSwan: swanctl --terminate, --initiate)",
		}
		if n.nested {
			refused.PID, refused.Command = n.who.NSPID, n.who.Command
		}
		r.refused = append(r.refused, refused)
	}
	return nil
}

// madeByKernel are interfaces that each namespace gets when a module for tunnels
// is loaded.
var madeByKernel = map[string]bool{
	"tunl0": true, "gre0": true, "gretap0": true, "erspan0": true, "ip_vti0": true, "ip6_vti0": true, "sit0": true, "ip6tnl0": true, "ip6gre0": true,
}

// outside notes that an interface is not the container's own to make. LXC makes
// those of the container's own namespace, from its config; nobody makes others.
func (r *Result) outside(n *object, link *format.Link, why string) {
	link.Outside = true
	if n.nested {
		r.refuseLink(n, link, why+", and nobody would put it there again", "move it out of the namespace, or end the process")
	}
}

func (r *Result) refuseLink(n *object, link *format.Link, reason, remedy string) {
	refused := &refusal.Refusal{Object: "network interface " + link.Name, Reason: reason, Remedy: remedy}
	if n.nested {
		refused.PID, refused.Command, refused.Kind = n.who.NSPID, n.who.Command, "net namespace of its own"
	}
	r.refused = append(r.refused, refused)
}

// settleLinks finds the namespaces that other ends are in.
func (r *Result) settleLinks() error {
	for _, l := range r.links {
		if err := r.settleLink(l); err != nil {
			return fmt.Errorf("network interface %s: find its other end: %w", l.link.Name, err)
		}
	}
	r.links = nil
	return nil
}

func (r *Result) settleLink(l lower) error {
	for _, o := range r.order {
		if o.Kind != format.NamespaceKind_NET || !o.Own {
			continue
		}
		id, err := numberOf(l.of, o)
		if err != nil {
			return err
		}
		if id == l.id {
			l.link.LowerNamespace = o.Id
		}
	}
	switch kind := l.link.Kind; {
	case l.link.LowerNamespace == 0:
		r.outside(l.of, l.link, "its other end is outside of the container")
	case !rtnl.CanMake(kind):
		r.refuseLink(l.of, l.link, "an interface of kind "+kind+" can't be made again by this version", "remove it (ip link del "+l.link.Name+")")
	}
	return nil
}

// numberOf is the number that a namespace has for another one, -1 if it has none.
func numberOf(from, to *object) (id int32, err error) {
	const (
		getNSID        = 90   // RTM_GETNSID
		nsid, ns       = 1, 3 // NETNSA_NSID, NETNSA_FD
		headerOfAnswer = 4    // struct rtgenmsg
	)
	fd, err := unix.Open(to.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	id = -1
	err = from.inside(func() error {
		c, err := netlink.Open(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer c.Close()
		all, err := c.Get(getNSID, netlink.Append(make([]byte, headerOfAnswer), netlink.Uint32(ns, uint32(fd))))
		if err != nil {
			return err
		}
		for _, m := range all {
			attributes, err := netlink.Parse(m.Body[min(len(m.Body), headerOfAnswer):])
			if err != nil {
				return err
			}
			for _, a := range attributes {
				if a.Type == nsid {
					id = int32(a.Uint32())
				}
			}
		}
		return nil
	})
	return id, err
}
