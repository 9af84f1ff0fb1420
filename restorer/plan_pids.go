package restorer

import (
	"fmt"

	"lxc-checkpoint/image/format"
)

// pids are the numbers of processes in the pid namespaces that they are in: the
// container's, and those that programs have made, one in the other.
type pids struct {
	skeleton *format.Skeleton
	first    uint32              // the pid namespace of the container's first process
	in       map[uint32]uint32   // of each process and helper; 0 is the container's
	numbers  map[uint32][]uint32 // of tasks and helpers, by their number in the container, which is the first
	next     map[uint32]uint32   // number for a helper in each namespace
	used     map[spot]bool
}

// spot is a number in a pid namespace.
type spot struct{ namespace, number uint32 }

func newPids(s *format.Skeleton, root *format.Process) *pids {
	n := &pids{
		skeleton: s, first: s.PIDNamespaceOf(root.Namespaces),
		in: map[uint32]uint32{}, numbers: map[uint32][]uint32{}, next: map[uint32]uint32{}, used: map[spot]bool{},
	}
	for _, p := range s.Processes {
		if p.State != format.ProcessState_ZOMBIE {
			n.in[p.Pid] = n.own(s.PIDNamespaceOf(p.Namespaces))
		}
		for _, k := range p.Tasks {
			n.numbers[k.Tid] = append([]uint32{k.Tid}, k.InnerTids...)
		}
	}
	for _, p := range s.Processes {
		if p.State == format.ProcessState_ZOMBIE {
			n.in[p.Pid] = n.ofZombie(p)
		}
		for _, k := range p.Tasks {
			n.take(n.in[p.Pid], n.numbers[k.Tid])
		}
		n.take(n.in[p.Pid], append([]uint32{p.Group}, p.InnerGroup...))
		n.take(n.in[p.Pid], append([]uint32{p.Session}, p.InnerSession...))
	}
	return n
}

// own is 0 for the container's.
func (n *pids) own(id uint32) uint32 {
	if id == n.first {
		return 0
	}
	return id
}

// around is the pid namespace around one.
func (n *pids) around(id uint32) uint32 { return n.own(n.skeleton.Namespace(id).GetParent()) }

// depth is how deep a pid namespace is below the container's.
func (n *pids) depth(id uint32) int {
	depth := 0
	for ; id != 0; depth++ {
		id = n.around(id)
	}
	return depth
}

// within tells whether a pid namespace is another one, or in it.
func (n *pids) within(id, of uint32) bool {
	for ; id != of; id = n.around(id) {
		if id == 0 {
			return false
		}
	}
	return true
}

// take notes numbers that helpers can't have.
func (n *pids) take(namespace uint32, numbers []uint32) {
	for i := len(numbers) - 1; i >= 0; i-- {
		n.used[spot{namespace, numbers[i]}] = true
		namespace = n.around(namespace)
	}
}

// gone is the pid namespace of a zombie that was the first in it: it ended with
// it, and nothing tells of it any more.
const gone = ^uint32(0)

// ofZombie is the pid namespace that one was in: its parent's, or one that the
// parent has said its children are in.
func (n *pids) ofZombie(p *format.Process) uint32 {
	parent := n.skeleton.Process(p.Parent)
	its := n.in[p.Parent]
	inner := p.Tasks[0].InnerTids
	if parent == nil || len(inner) <= n.depth(its) {
		return its
	}
	for _, t := range parent.Tasks {
		if id := n.skeleton.PIDNamespaceOf(t.ChildNamespaces); id != 0 && inner[len(inner)-1] != 1 {
			return id
		}
	}
	return gone
}

// isFirst tells whether a process is the first in a pid namespace that a program
// has made: it makes no siblings (CLONE_PARENT, copy_process, kernel/fork.c).
func (n *pids) isFirst(pid uint32) bool {
	all := n.numbers[pid]
	return len(all) > 1 && all[len(all)-1] == 1
}

// canMake tells whether one process can make another one: into its own pid
// namespace or one in that.
func (n *pids) canMake(by, child uint32) bool {
	if n.in[child] == gone {
		return n.depth(n.in[by])+2 == len(n.numbers[child])
	}
	return n.within(n.in[child], n.in[by])
}

// helper gives a helper numbers: made by another process, in its namespace.
func (n *pids) helper(pid, by uint32) {
	namespace := n.in[by]
	all := []uint32{pid}
	for range n.depth(namespace) {
		all = append(all, 0)
	}
	for i, at := len(all)-1, namespace; i > 0; i, at = i-1, n.around(at) {
		if n.next[at] == 0 {
			n.next[at] = 2
		}
		for n.used[spot{at, n.next[at]}] {
			n.next[at]++
		}
		all[i] = n.next[at]
		n.used[spot{at, all[i]}] = true
	}
	n.in[pid], n.numbers[pid] = namespace, all
}

// as is what a process, or a process group, is called in the pid namespace of
// another process.
func (n *pids) as(number, who uint32) (uint32, error) {
	depth := n.depth(n.in[who])
	if all := n.numbers[number]; len(all) > depth {
		return all[depth], nil
	}
	for _, p := range n.skeleton.Processes {
		if p.Group == number && len(p.InnerGroup) >= depth && depth > 0 && p.InnerGroup[depth-1] != 0 {
			return p.InnerGroup[depth-1], nil
		}
	}
	if depth == 0 {
		return number, nil
	}
	return 0, fmt.Errorf("%d has no number in the pid namespace of process %d", number, who)
}

// ownNumber is what a task is called in its own pid namespace.
func (n *pids) ownNumber(tid uint32) uint32 {
	all := n.numbers[tid]
	return all[len(all)-1]
}

// outerGroup is the process group of a process whose leader is outside of its pid
// namespace, so that it has no word for it: 0 if it has one.
func (n *pids) outerGroup(p *format.Process) uint32 {
	if len(p.InnerGroup) > 0 && p.InnerGroup[len(p.InnerGroup)-1] == 0 {
		return p.Group
	}
	return 0
}
