package namespaces

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// lostInNetwork notes what a program has set in the thread's network namespace and
// a restart does not bring back.
func (r *Result) lostInNetwork(c *netlink.Conn, n *object) error {
	const size = 20 // struct tcmsg
	all, err := c.Dump(unix.RTM_GETQDISC, make([]byte, size))
	if err != nil {
		return fmt.Errorf("list the queueing disciplines: %w", err)
	}
	for _, m := range all {
		if m.Type != unix.RTM_NEWQDISC || len(m.Body) < size {
			continue
		}
		ne := binary.NativeEndian
		index, handle := ne.Uint32(m.Body[4:]), ne.Uint32(m.Body[8:])
		if handle == 0 { // the kernel's own choice
			continue
		}
		kind := ""
		attributes, err := netlink.Parse(m.Body[size:])
		if err != nil {
			return err
		}
		for _, a := range attributes {
			if a.Type == unix.TCA_KIND {
				kind = a.Text()
			}
		}
		r.Lost = append(r.Lost, fmt.Sprintf("the queueing discipline %s of network interface %s, with its classes and filters (tc qdisc)", kind, linkName(n, index)))
	}
	return nil
}

func linkName(n *object, index uint32) string {
	for _, l := range n.Links {
		if l.Index == index {
			return l.Name
		}
	}
	return fmt.Sprint(index)
}
