package format

import (
	"errors"
	"fmt"
	"math"

	"lxc-checkpoint/internal/conntrack"
	"lxc-checkpoint/internal/ipset"
	"lxc-checkpoint/internal/iptables"
	"lxc-checkpoint/internal/nft"
	"lxc-checkpoint/internal/rtnl"
	"lxc-checkpoint/internal/wireguard"
	"lxc-checkpoint/internal/xfrm"
)

// network checks what a network namespace has: only what internal/rtnl lists, of
// interfaces that are there.
func (c *checker) network(n *Namespace) error {
	names, indexes := map[string]bool{}, map[uint32]bool{}
	for _, l := range n.Links {
		if l.Name == "" || badName(l.Name, 15) { // IFNAMSIZ
			return fmt.Errorf("namespace %d has a network interface %.80q", n.Id, l.Name)
		}
		if names[l.Name] || l.Index > 1<<31-1 || l.Index != 0 && indexes[l.Index] || n.Network != nil && l.Index == 0 {
			return fmt.Errorf("namespace %d has two network interfaces %s or of number %d, or that is none", n.Id, l.Name, l.Index)
		}
		names[l.Name], indexes[l.Index] = true, true
		if err := c.link(n, l); err != nil {
			return fmt.Errorf("namespace %d: network interface %s: %w", n.Id, l.Name, err)
		}
	}
	for _, l := range n.Links {
		if l.Master != 0 && !indexes[l.Master] || l.Lower != 0 && !l.Outside && l.LowerNamespace == 0 && !indexes[l.Lower] {
			return fmt.Errorf("namespace %d: network interface %s belongs to another one that is not there", n.Id, l.Name)
		}
	}
	for _, t := range rtnl.Things {
		for _, body := range n.Network.Things(t) {
			if err := t.Check(body); err != nil {
				return fmt.Errorf("namespace %d has %w", n.Id, err)
			}
		}
	}
	for _, s := range n.Network.GetSysctls() {
		if rtnl.BadSysctl(s.Name, s.Value) {
			return fmt.Errorf("namespace %d has a sysctl %.80q", n.Id, s.Name)
		}
	}
	for _, body := range n.Network.GetPolicies() {
		if err := xfrm.Check(body); err != nil {
			return fmt.Errorf("namespace %d has %w", n.Id, err)
		}
	}
	for _, body := range n.Network.GetIpsets() {
		if err := ipset.Check(body); err != nil {
			return fmt.Errorf("namespace %d has %w", n.Id, err)
		}
	}
	for _, t := range n.Network.GetTables() {
		if err := t.Table().Check(); err != nil {
			return fmt.Errorf("namespace %d has %w", n.Id, err)
		}
	}
	for _, body := range n.Network.GetConnections() {
		if err := conntrack.Check(body); err != nil {
			return fmt.Errorf("namespace %d has %w", n.Id, err)
		}
	}
	for _, m := range n.Network.GetNftables() {
		if m.Type > math.MaxUint16 {
			return fmt.Errorf("namespace %d has a message %d of nf_tables", n.Id, m.Type)
		}
		if err := m.Message().Check(); err != nil {
			return fmt.Errorf("namespace %d has %w", n.Id, err)
		}
	}
	return nil
}

// Table is it as internal/iptables knows it.
func (t *IptablesTable) Table() *iptables.Table {
	return &iptables.Table{Kind: t.Kind, Name: t.Name, Hooks: t.Hooks, HookEntry: t.HookEntries, Underflow: t.Underflows, Rules: t.Rules, Entries: t.Entries}
}

// Message is it as internal/nft knows it.
func (m *Nftables) Message() *nft.Message {
	return &nft.Message{Type: uint16(m.Type), Body: m.Body, Handle: m.Handle}
}

func (c *checker) link(n *Namespace, l *Link) error {
	if n := len(l.Token); n != 0 && n != 16 {
		return fmt.Errorf("a token of %d bytes", n)
	}
	for _, address := range l.Multicast {
		if n := len(address); n == 0 || n > 14 { // sa_data of struct sockaddr
			return fmt.Errorf("a link-layer address of %d bytes", n)
		}
	}
	for _, other := range l.OtherNames {
		if other == "" || badName(other, 127) { // ALTIFNAMSIZ
			return fmt.Errorf("another name %.80q", other)
		}
	}
	if badName(l.Kind, 63) || badName(l.SlaveKind, 63) || l.Flags&^rtnl.SettableFlags != 0 {
		return errors.New("a kind or flags that can't be")
	}
	if other := l.LowerNamespace; other != 0 {
		o := c.Namespace(other)
		if o == nil || o.Kind != NamespaceKind_NET || !o.Own || other == n.Id {
			return fmt.Errorf("its other end is in %d, which is no other network namespace", other)
		}
	}
	if !l.Outside && l.Kind != "" && !rtnl.CanMake(l.Kind) {
		return fmt.Errorf("kind %s, which this version does not know", l.Kind)
	}
	if len(l.Vlans) > 0 && !l.HasVlans || len(l.Vlans) > 1<<12 {
		return fmt.Errorf("%d VLANs", len(l.Vlans))
	}
	for _, body := range l.Wireguard {
		if err := wireguard.Check(body); err != nil {
			return err
		}
	}
	for _, v := range l.Vlans {
		if err := rtnl.CheckVLAN(v); err != nil {
			return err
		}
	}
	return rtnl.CheckLink(l.Kind, l.Data, l.SlaveKind, l.SlaveData, l.Attributes)
}

// Things are the bodies of one kind of thing.
func (n *Network) Things(t *rtnl.Thing) [][]byte {
	switch t {
	case rtnl.Addresses:
		return n.GetAddresses()
	case rtnl.Nexthops:
		return n.GetNexthops()
	case rtnl.Routes:
		return n.GetRoutes()
	case rtnl.Rules:
		return n.GetRules()
	case rtnl.Labels:
		return n.GetLabels()
	case rtnl.Groups:
		return n.GetGroups()
	}
	return n.GetNeighbours()
}
