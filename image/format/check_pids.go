package format

import "fmt"

// maxDepth is MAX_PID_NS_LEVEL, include/linux/pid_namespace.h.
const maxDepth = 32

// PIDDepth is how deep a pid namespace lies below the container's, which is 0.
func (s *Skeleton) PIDDepth(id uint32) int {
	depth := 0
	first := s.PIDNamespaceOf(s.Process(s.GetRootPid()).GetNamespaces())
	for id != 0 && id != first && depth <= maxDepth {
		depth++
		id = s.Namespace(id).GetParent()
	}
	return depth
}

// GetRootPid is the number of the container's first process.
func (s *Skeleton) GetRootPid() uint32 { return s.Container.GetRootPid() }

// PIDNamespaceOf is the pid namespace among a set of namespaces; 0 if there is
// none.
func (s *Skeleton) PIDNamespaceOf(namespaces []uint32) uint32 {
	for _, id := range namespaces {
		if s.Namespace(id).GetKind() == NamespaceKind_PID {
			return id
		}
	}
	return 0
}

// pids checks pid namespaces that programs have made, and the numbers in them.
func (c *checker) pids() error {
	before := map[uint32]bool{}
	for _, n := range c.Namespaces {
		if n.Parent != 0 && (n.Kind != NamespaceKind_PID || c.Namespace(n.Parent).GetKind() != NamespaceKind_PID || !before[n.Parent]) {
			return fmt.Errorf("pid namespace %d is in %d, which is none before it", n.Id, n.Parent)
		}
		if n.LastPid > maxPID || c.PIDDepth(n.Id) > maxDepth && n.Kind == NamespaceKind_PID {
			return fmt.Errorf("pid namespace %d is too deep, or has given out the number %d", n.Id, n.LastPid)
		}
		before[n.Id] = true
	}
	for _, f := range c.FileSystems {
		if id := f.PidNamespace; id != 0 && c.Namespace(id).GetKind() != NamespaceKind_PID {
			return fmt.Errorf("file system %d shows the processes of %d, which is no pid namespace", f.Id, id)
		}
	}
	type number struct{ namespace, tid uint32 }
	seen := map[number]bool{}
	for _, p := range c.Processes {
		own := c.PIDNamespaceOf(p.Namespaces)
		depth := c.PIDDepth(own)
		if p.State == ProcessState_ZOMBIE {
			depth = len(p.Tasks[0].InnerTids) // it is in no namespace any more
		}
		if depth > maxDepth || len(p.InnerGroup) != depth || len(p.InnerSession) != depth {
			return fmt.Errorf("process %d is %d pid namespaces deep, but its group and session are not", p.Pid, depth)
		}
		for _, t := range p.Tasks {
			if len(t.InnerTids) != depth {
				return fmt.Errorf("task %d has %d numbers in %d pid namespaces", t.Tid, len(t.InnerTids), depth)
			}
			for _, tid := range t.InnerTids {
				if tid == 0 || tid > maxPID {
					return fmt.Errorf("task %d is %d in a pid namespace", t.Tid, tid)
				}
			}
			if depth > 0 && p.State != ProcessState_ZOMBIE {
				k := number{own, t.InnerTids[depth-1]}
				if seen[k] {
					return fmt.Errorf("pid namespace %d has two tasks %d", own, k.tid)
				}
				seen[k] = true
			}
			for _, id := range t.ChildNamespaces {
				if k := c.Namespace(id).GetKind(); k != NamespaceKind_PID && k != NamespaceKind_TIME {
					return fmt.Errorf("task %d has children in namespace %d, which is of no such kind", t.Tid, id)
				}
			}
		}
		for _, list := range [][]uint32{p.InnerGroup, p.InnerSession} {
			for _, n := range list {
				if n > maxPID {
					return fmt.Errorf("process %d has a group or session %d in a pid namespace", p.Pid, n)
				}
			}
		}
	}
	return nil
}
