package memory

import (
	"slices"

	"lxc-checkpoint/image/format"
)

// Kin is the tree of address spaces, as a restart will fork them.
type Kin struct {
	// Forks in the order in which a restart makes them.
	Forks []format.Fork
	// Mm is the address space of a process; 0 if it has none (a zombie, or a
	// helper of the restart).
	Mm func(pid uint32) uint32
	// Check says what of the messages a restart could not have inherited so; nil
	// if there is nothing.
	Check func(mms []*format.Mm, inherited []*format.Inherited) *format.InheritError
}

// node is an address space of the tree, made by the fork of its number; 0 is
// that of the container's first process.
type node struct {
	parent, depth int
	space         int // in Look's order; -1: none
}

// tree is all of them: parents before their children.
func (k *Kin) tree(spaceOf map[uint32]int) []node {
	if len(k.Forks) == 0 {
		return nil
	}
	space := func(pid uint32) int {
		if i, ok := spaceOf[k.Mm(pid)]; ok {
			return i
		}
		return -1
	}
	of := map[uint32]int{k.Forks[0].By: 0}
	nodes := []node{{parent: -1, space: space(k.Forks[0].By)}}
	for _, f := range k.Forks {
		by, ok := of[f.By]
		if !ok {
			return nil
		}
		if f.SharesMemory {
			of[f.PID] = by
			continue
		}
		of[f.PID] = len(nodes)
		nodes = append(nodes, node{parent: by, depth: nodes[by].depth + 1, space: space(f.PID)})
	}
	return nodes
}

// member is an address space that has a page.
type member struct {
	node int
	same int // the first member that has the same page
}

// group is a page that several share.
type group struct {
	members []int // nodes
	// The page is given to the parent of this node, before it is forked.
	edge int
}

// family finds, for the address spaces that have a page at an address, which of
// them can inherit it.
type family struct {
	nodes  []node
	banned map[int]bool // edges that a restart can't have

	// The last question and its answer: it is mostly that of the next page, too.
	asked  []member
	answer []group
}

// share answers which members share, and how they come by it. A restart keeps
// in each process, at each address, one version of a page at a time. So each
// fork can hand on one, and a process that has had several must have had each
// for one stretch of its forks. That is always so if all are where they were
// forked; where not (orphans), some don't share any more.
func (f *family) share(members []member) []group {
	if slices.Equal(members, f.asked) && f.answer != nil {
		return f.answer
	}
	f.asked = append(f.asked[:0], members...)
	f.answer = f.solve(members)
	return f.answer
}

func (f *family) solve(members []member) []group {
	dropped := map[int]bool{} // first members of groups
again:
	groups := []group{}
	passes := map[int]int{} // node → 1 + the group whose page it is born with
	for i, m := range members {
		if m.same != i || dropped[i] {
			continue
		}
		var nodes []int
		for _, o := range members {
			if o.same == i {
				nodes = append(nodes, o.node)
			}
		}
		g, ok := f.group(nodes, passes, len(groups)+1)
		if !ok {
			dropped[i] = true
			continue
		}
		groups = append(groups, g)
	}
	if len(groups) > 1 {
		if late := f.returning(groups, passes); late >= 0 {
			first := groups[late].members[0]
			for i, m := range members {
				if m.node == first {
					dropped[members[i].same] = true
				}
			}
			goto again
		}
	}
	return groups
}

// group finds a way for a page to those nodes of a list that have one left.
func (f *family) group(list []int, passes map[int]int, number int) (group, bool) {
	for {
		if len(list) < 2 {
			return group{}, false
		}
		top := f.ancestor(list)
		kept := slices.DeleteFunc(slices.Clone(list), func(n int) bool {
			for ; n != top; n = f.nodes[n].parent {
				if passes[n] != 0 {
					return true
				}
			}
			return false
		})
		if len(kept) < len(list) {
			list = kept
			continue
		}
		edge := len(f.nodes)
		for _, n := range list {
			for ; n != top; n = f.nodes[n].parent {
				if f.nodes[n].parent == top {
					edge = min(edge, n)
				}
			}
		}
		if f.banned[edge] {
			return group{}, false
		}
		for _, n := range list {
			for ; n != top; n = f.nodes[n].parent {
				passes[n] = number
			}
		}
		return group{list, edge}, true
	}
}

// ancestor is the nearest from which all descend; it can be one of them.
func (f *family) ancestor(list []int) int {
	a := list[0]
	for _, b := range list[1:] {
		for a != b {
			if f.nodes[a].depth < f.nodes[b].depth {
				a, b = b, a
			}
			a = f.nodes[a].parent
		}
	}
	return a
}

// returning finds a group whose page a process would need again after it had
// another one; -1 if there is none.
func (f *family) returning(groups []group, passes map[int]int) int {
	var order []int
	for n := range passes {
		order = append(order, n)
	}
	slices.Sort(order)
	now := map[int]int{}              // what each process has
	was := map[int]map[int]bool{}     // what it had before
	take := func(n, group int) bool { // false: it had that, and another since
		if now[n] == group {
			return true
		}
		if was[n] == nil {
			was[n] = map[int]bool{}
		}
		if was[n][group] {
			return false
		}
		was[n][now[n]] = true
		now[n] = group
		return true
	}
	for _, n := range order {
		if !take(f.nodes[n].parent, passes[n]) {
			return passes[n] - 1
		}
		now[n] = passes[n]
	}
	for i, g := range groups {
		for _, n := range g.members {
			if !take(n, i+1) {
				return i
			}
		}
	}
	return -1
}
