package format

import "fmt"

// owners checks who owns which namespace: one that comes before it, so that
// nothing owns itself, and who is in whose.
func (c *checker) owners() error {
	before := map[uint32]bool{}
	for _, n := range c.Namespaces {
		if n.Owner != 0 {
			owner := c.Namespace(n.Owner)
			if owner.GetKind() != NamespaceKind_USER || n.Kind == NamespaceKind_USER && !before[n.Owner] {
				return fmt.Errorf("namespace %d belongs to %d, which is no user namespace before it", n.Id, n.Owner)
			}
		}
		before[n.Id] = true
		u := n.User
		if u == nil && (n.Kind != NamespaceKind_USER || !n.Own) {
			continue
		}
		if u == nil {
			return fmt.Errorf("user namespace %d says nothing of its users", n.Id)
		}
		if n.Kind != NamespaceKind_USER {
			return fmt.Errorf("namespace %d, of kind %v, maps users", n.Id, n.Kind)
		}
		for _, list := range [][]*IdRange{u.Uids, u.Gids} {
			if err := idRanges(list); err != nil {
				return fmt.Errorf("user namespace %d: %w", n.Id, err)
			}
		}
		if err := c.nestedRanges(n); err != nil {
			return err
		}
	}
	return nil
}

// maxRanges is UID_GID_MAP_MAX_EXTENTS, include/linux/user_namespace.h.
const maxRanges = 340

func idRanges(list []*IdRange) error {
	if len(list) > maxRanges {
		return fmt.Errorf("it has %d ranges of ids", len(list))
	}
	for i, r := range list {
		if r.Count == 0 || uint64(r.Inside)+uint64(r.Count) > 1<<32 || uint64(r.Outside)+uint64(r.Count) > 1<<32 {
			return fmt.Errorf("it maps %d ids from %d to %d", r.Count, r.Inside, r.Outside)
		}
		for _, o := range list[:i] {
			if overlap(r.Inside, r.Count, o.Inside, o.Count) || overlap(r.Outside, r.Count, o.Outside, o.Count) {
				return fmt.Errorf("it maps %d or %d twice", r.Inside, r.Outside)
			}
		}
	}
	return nil
}

func overlap(a, n, b, m uint32) bool {
	return uint64(a) < uint64(b)+uint64(m) && uint64(b) < uint64(a)+uint64(n)
}

// nestedRanges sees that a user namespace has only ids that its parent has.
func (c *checker) nestedRanges(n *Namespace) error {
	parent := c.UsersIn(n.Owner)
	for _, list := range []struct {
		ranges []*IdRange
		up     func(uint32) (uint32, bool)
	}{{n.User.Uids, parent.UID}, {n.User.Gids, parent.GID}} {
		for _, r := range list.ranges {
			first, ok := list.up(r.Outside)
			last, also := list.up(r.Outside + r.Count - 1)
			if !ok || !also || last-first != r.Count-1 {
				return fmt.Errorf("user namespace %d has ids from %d on that the one around it has not", n.Id, r.Outside)
			}
		}
	}
	return nil
}
