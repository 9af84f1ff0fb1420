package namespaces

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/conntrack"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/ipset"
	"lxc-checkpoint/internal/netlink"
	"lxc-checkpoint/internal/nft"
	"lxc-checkpoint/internal/rtnl"
	"lxc-checkpoint/internal/wireguard"
	"lxc-checkpoint/internal/xfrm"
)

// networks makes what the network namespaces of the container had in them.
//
// Nothing may answer for the container before it is back: so packet filters are
// loaded before any interface is set up. Addresses come when interfaces are up,
// since routes by way of those that are not are refused; sockets, which are bound
// to addresses, come later.
type networks struct {
	log    *slog.Logger
	spaces []*netspace
	veth   map[string]string // of the host's, see Surroundings
	told   map[string]bool   // sysctls that could not be set
}

// netspace is a network namespace.
type netspace struct {
	*format.Namespace
	first bool // the container's first process is in it: LXC may have made interfaces
	fd    int
	conn  *netlink.Conn
	// raised: its interfaces are up, and have their addresses.
	raised bool
	now    map[string]*rtnl.Link // interfaces that there are, by their names
}

// makeNetworks does it all. The namespaces exist. As a copy: what LXC has given the
// container is to stay what it is.
func (r *Root) makeNetworks(have Surroundings, log *slog.Logger) error {
	first := firstSet(r.skeleton)
	m := &networks{log: log, veth: have.Veth}
	for _, n := range r.skeleton.Namespaces {
		if n.Kind != format.NamespaceKind_NET || !n.Own || n.Network == nil {
			continue
		}
		if have.AsCopy {
			n = withoutOutside(n)
		}
		s := &netspace{Namespace: n, first: slices.Contains(first, n.Id), fd: r.namespaces[n.Id]}
		err := s.inside(func() (err error) {
			s.conn, err = netlink.Open(unix.NETLINK_ROUTE)
			return err
		})
		if err != nil {
			return fmt.Errorf("enter a network namespace of the container: %w", err)
		}
		defer s.conn.Close()
		m.spaces = append(m.spaces, s)
	}
	for _, step := range []struct {
		what string
		do   func(*netspace) error
	}{
		{"compare its interfaces with those that it had", (*netspace).look},
		{"number its interfaces", (*netspace).renumber},
		{"make its interfaces", nil},
		{"compare its interfaces with those that it had", (*netspace).look},
		{"set up its interfaces", m.describe},
		{"join its interfaces", (*netspace).join},
		{"set its VLANs", (*netspace).vlans},
		{"set its keys", (*netspace).keys},
		{"set its sysctls", m.sysctls},
		{"load its packet filters", (*netspace).filters},
		{"track its connections", m.connections},
		{"set its policies of IPsec", (*netspace).policies},
		{"have its interfaces listen to groups", (*netspace).groups},
		{"bring its interfaces up", (*netspace).raise},
		{"set its addresses", (*netspace).addresses},
		{"wait for its interfaces", (*netspace).await},
		{"set its routes", (*netspace).things},
		// Those that followed from what was done since, and those that were in the way.
		{"set its sysctls", m.sysctls},
		{"set its tokens", m.tokens},
	} {
		if step.do == nil {
			if err := m.makeLinks(); err != nil {
				return err
			}
			continue
		}
		for _, s := range m.spaces {
			if err := step.do(s); err != nil {
				return fmt.Errorf("network of the container: %s: %w", step.what, err)
			}
		}
	}
	return nil
}

// connections has those tracked that were. Filters that know them by their state
// would shut them out otherwise.
func (m *networks) connections(s *netspace) error {
	failed := 0
	var why error
	err := s.inside(func() error {
		failed, why = conntrack.Load(s.Network.Connections)
		return nil
	})
	if failed > 0 {
		m.log.Warn("connections that the container tracked (conntrack) are not tracked any more", "number", failed, "why", why)
	}
	return err
}

// filters loads the rule set of nf_tables, the tables of the old iptables, and first
// the sets that these refer to.
func (s *netspace) filters() error {
	err := s.inside(func() error {
		if err := ipset.Load(s.Network.Ipsets); err != nil {
			return err
		}
		for _, t := range slices.Backward(s.Network.Tables) { // the newest comes first in a listing
			if err := t.Table().Load(); err != nil {
				return fmt.Errorf("table %s of %stables: %w", t.Name, t.Kind, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var all []*nft.Message
	for _, m := range s.Network.Nftables {
		all = append(all, m.Message())
	}
	err = s.inside(func() error { return nft.Load(all) })
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("this kernel lacks what they need of nf_tables (modprobe nf_tables): %w", err)
	}
	return err
}

// policies sets those of IPsec.
func (s *netspace) policies() error {
	return s.inside(func() error { return xfrm.Load(s.Network.Policies) })
}

// keys gives wireguards their keys and peers.
func (s *netspace) keys() error {
	for _, l := range s.Links {
		err := s.inside(func() error { return wireguard.Load(l.Index, l.Wireguard) })
		if err != nil {
			return fmt.Errorf("network interface %s: %w", l.Name, err)
		}
	}
	return nil
}

// withoutOutside is a network namespace without the interfaces that come from
// outside, and what is set on them.
func withoutOutside(n *format.Namespace) *format.Namespace {
	outside := map[uint32]bool{}
	var inside []*format.Link
	for _, l := range n.Links {
		if outside[l.Index] = l.Outside; !l.Outside {
			inside = append(inside, l)
		}
	}
	kept := func(t *rtnl.Thing) [][]byte {
		return slices.DeleteFunc(slices.Clone(n.Network.Things(t)), func(body []byte) bool { return outside[t.Index(body)] })
	}
	n = proto.CloneOf(n)
	n.Links = inside
	n.Network.Addresses, n.Network.Nexthops, n.Network.Routes = kept(rtnl.Addresses), kept(rtnl.Nexthops), kept(rtnl.Routes)
	n.Network.Rules, n.Network.Neighbours = kept(rtnl.Rules), kept(rtnl.Neighbours)
	return n
}

func (m *networks) space(id uint32) *netspace {
	for _, s := range m.spaces {
		if s.Id == id {
			return s
		}
	}
	return nil
}

// inside runs f on a thread that is in the namespace.
func (s *netspace) inside(f func() error) error {
	return elsewhere.Run(func() error {
		if err := unix.Setns(s.fd, unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

func (s *netspace) look() error {
	links, err := rtnl.Links(s.conn)
	s.now = map[string]*rtnl.Link{}
	for _, l := range links {
		s.now[l.Name] = l
	}
	return err
}

// known tells whether an interface is one that the container had. What LXC's
// config has given it since is LXC's.
func (s *netspace) known(index uint32) bool {
	return index == 0 || slices.ContainsFunc(s.Links, func(l *format.Link) bool { return l.Index == index })
}

// addresses sets the addresses of interfaces.
func (s *netspace) addresses() error { return s.settle(rtnl.Addresses) }

// things sets what depends on addresses, and removes those addresses that the
// kernel has made since by itself.
func (s *netspace) things() error {
	for _, t := range rtnl.Things {
		if err := s.settle(t); err != nil {
			return err
		}
	}
	s.raised = true
	return nil
}

// settle sees that there is of one kind of thing what there was: no more and no
// less.
func (s *netspace) settle(t *rtnl.Thing) error {
	if t == rtnl.Labels && len(s.Network.Labels) == 0 {
		return nil // of an older version: each namespace has some
	}
	now, err := t.List(s.conn)
	if err != nil {
		return err
	}
	have := map[string]int{}
	for _, body := range now {
		have[t.Key(body)]++
	}
	var missing [][]byte
	for _, body := range s.Network.Things(t) {
		key := t.Key(body)
		if have[key] == 0 {
			missing = append(missing, body)
			continue
		}
		have[key]--
		if t == rtnl.Addresses && t.Passes(body) && !contains(now, body) {
			if err := s.conn.Do(t.New, unix.NLM_F_REPLACE, body); err != nil {
				return fmt.Errorf("set the lifetime of %s: %w", rtnl.Describe(t, body), err)
			}
		}
	}
	for _, body := range now {
		if key := t.Key(body); have[key] > 0 && s.known(t.Index(body)) && body[0] != unix.AF_BRIDGE {
			have[key]--
			if err := s.conn.Do(t.Del, 0, body); err != nil && !isGone(err) {
				return fmt.Errorf("remove %s: %w", rtnl.Describe(t, body), err)
			}
		}
	}
	return s.add(t, missing)
}

// add makes things. Some need another one that comes later (a route to a gateway):
// these are tried again when that is there.
func (s *netspace) add(t *rtnl.Thing, missing [][]byte) error {
	missing = inOrder(t, missing)
	for len(missing) > 0 {
		var left [][]byte
		var first error
		for _, body := range missing {
			flags := uint16(unix.NLM_F_CREATE | unix.NLM_F_EXCL)
			if t == rtnl.Routes && body[0] == unix.AF_INET || body[0] == unix.AF_BRIDGE {
				flags = unix.NLM_F_CREATE | unix.NLM_F_APPEND // several may differ in nothing but the gateway
			}
			err := s.conn.Do(t.New, flags, body)
			if errors.Is(err, unix.EEXIST) {
				continue // the kernel has made it meanwhile
			}
			if err != nil {
				left = append(left, body)
				if first == nil {
					first = fmt.Errorf("set %s: %w", rtnl.Describe(t, body), err)
				}
			}
		}
		if len(left) == len(missing) {
			return first
		}
		missing = left
	}
	return nil
}

// inOrder is the order in which the kernel comes to list things as it did: of an
// interface's IPv6 addresses it lists the newest first.
func inOrder(t *rtnl.Thing, list [][]byte) [][]byte {
	if t != rtnl.Addresses {
		return list
	}
	var v4, v6 [][]byte
	for _, body := range list {
		if body[0] == unix.AF_INET6 {
			v6 = append(v6, body)
		} else {
			v4 = append(v4, body)
		}
	}
	slices.Reverse(v6)
	return append(v4, v6...)
}

func contains(list [][]byte, body []byte) bool {
	return slices.ContainsFunc(list, func(b []byte) bool { return string(b) == string(body) })
}

// isGone tells that what is to be removed went with something else.
func isGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV)
}

// await waits for a while until those interfaces have a carrier that had one: until
// then the kernel does things to them by itself.
func (s *netspace) await() error {
	for begin := time.Now(); time.Since(begin) < 2*time.Second; time.Sleep(2 * time.Millisecond) {
		if err := s.look(); err != nil {
			return err
		}
		waits := slices.ContainsFunc(s.Links, func(l *format.Link) bool {
			now := s.now[l.Name]
			return l.Running && now != nil && !now.Carrier
		})
		if !waits {
			return nil
		}
	}
	return nil
}
