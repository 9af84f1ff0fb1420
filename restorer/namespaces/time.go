package namespaces

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
)

// makeTime makes a time namespace that a program had made; -1: that is done by the
// process that had it for its children, since no other call gives it that.
func (r *Root) makeTime(n *format.Namespace) (int, error) {
	for _, p := range r.skeleton.Processes {
		for _, k := range p.Tasks {
			if slices.Contains(k.ChildNamespaces, n.Id) {
				return -1, nil
			}
		}
	}
	p, end, err := r.fork()
	if err != nil {
		return -1, err
	}
	defer end()
	if err := r.enterUsers(p, n.Owner); err != nil {
		return -1, err
	}
	return r.unshareTime(p, n)
}

// unshareTime has the children of a process be in a new time namespace.
func (r *Root) unshareTime(p place.Process, n *format.Namespace) (int, error) {
	if _, err := p.Call(unix.SYS_UNSHARE, unix.CLONE_NEWTIME); err != nil {
		return -1, err
	}
	o, err := r.offsets(n)
	if err != nil {
		return -1, err
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/timens_offsets", p.PID()), []byte(o.Text()), 0); err != nil {
		return -1, fmt.Errorf("set the offsets of a time namespace (needs CAP_SYS_TIME): %w", err)
	}
	return openNS(fmt.Sprintf("/proc/%d/ns/time_for_children", p.PID()))
}

// TimeOffsets are those of the clocks of a process.
func (r *Root) TimeOffsets(p *format.Process) (procfs.TimeOffsets, error) {
	for _, id := range p.Namespaces {
		if n := r.skeleton.Namespace(id); n.GetKind() == format.NamespaceKind_TIME && !slices.Contains(firstSet(r.skeleton), id) && n.Own {
			return r.offsets(n)
		}
	}
	return r.firstOffsets()
}

// offsets are those of a time namespace that a program made: to the container's
// clocks, which a restart has moved, it keeps the distance that it had.
func (r *Root) offsets(n *format.Namespace) (o procfs.TimeOffsets, err error) {
	var had procfs.TimeOffsets
	for _, id := range firstSet(r.skeleton) {
		if t := r.skeleton.Namespace(id).GetTime(); t != nil {
			had = procfs.TimeOffsets{Monotonic: t.MonotonicNs, Boottime: t.BoottimeNs}
		}
	}
	now, err := r.firstOffsets()
	o.Monotonic = n.Time.GetMonotonicNs() - had.Monotonic + now.Monotonic
	o.Boottime = n.Time.GetBoottimeNs() - had.Boottime + now.Boottime
	return o, err
}

// firstOffsets are those of the container's clocks. Its first process may have
// another time namespace for its children, so they are read once.
func (r *Root) firstOffsets() (procfs.TimeOffsets, error) {
	if r.clocks != nil {
		return *r.clocks, nil
	}
	o, err := procfs.ReadTimeOffsets(r.root.PID())
	if err == nil {
		r.clocks = &o
	}
	return o, err
}

// ChildTime gives a process the time namespace that its children are to be in.
func (r *Root) ChildTime(p place.Process, k *format.Task) (bool, error) {
	for _, id := range k.ChildNamespaces {
		n := r.skeleton.Namespace(id)
		if n.GetKind() != format.NamespaceKind_TIME {
			continue
		}
		if _, made := r.namespaces[id]; made {
			return false, fmt.Errorf("task %d and another one have the same time namespace for their children, which can't be made twice", k.Tid)
		}
		fd, err := r.unshareTime(p, n)
		if err != nil {
			return false, err
		}
		r.namespaces[id] = fd
		return true, nil
	}
	return false, nil
}
