package restorer

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/namespaces"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/restorer/stub"
)

// helper makes a process for a while, as namespaces.Forker.
func (r *restart) helper() (place.Process, func() error, error) {
	t, err := r.root.Fork(0, int(unix.SIGCHLD))
	if err != nil {
		return nil, nil, err
	}
	return t, func() error { return r.end(t, r.root, 0) }, nil
}

// end ends a process that was needed only for a while. Its parent waits for it, in
// whose pid namespace, so deep below the container's, it has a number.
func (r *restart) end(t, parent *stub.Task, depth int) error {
	status, err := procfs.ReadStatus(t.PID())
	if err != nil {
		return err
	}
	return t.End(parent, status.NSpid[r.level+depth])
}

// levelOf is how deep the container's pid namespace lies below
// ours.
func levelOf(root place.Process) (int, error) {
	status, err := procfs.ReadStatus(root.PID())
	if err != nil {
		return 0, err
	}
	return len(status.NSpid) - 1, nil
}

// mayNumber tells whether a process in a user namespace may choose numbers in a
// pid namespace: in one that belongs to its own one, or to one in that.
func (r *restart) mayNumber(users, namespace uint32) bool {
	s := r.plan.Skeleton
	if namespace == 0 {
		namespace = r.plan.Pids.first
	}
	first := s.UserNamespaceOf(r.plan.Root.Namespaces)
	if users == first || users == 0 {
		return true
	}
	for at := s.Namespace(namespace).GetOwner(); at != 0; at = s.Namespace(at).GetOwner() {
		if at == users {
			return true
		}
	}
	return false
}

// forkBy has a process make another one, or a thread, with the numbers that it is
// to have in a pid namespace and those around it: the container's first. maker are
// the namespaces that the process is in: in a user namespace of a program's own it
// may not choose numbers in pid namespaces from outside. There somebody who may
// has the kernel go on from the number before (nobody else makes processes), which
// gives the same.
func (r *restart) forkBy(by *stub.Task, maker []uint32, flags uint64, exit int, namespace uint32, numbers []uint32) (*stub.Task, error) {
	users := r.plan.Skeleton.UserNamespaceOf(maker)
	var chosen []uint32 // the innermost first
	at := namespace
	for i := len(numbers) - 1; i >= 0; i-- {
		if at != gone && !r.mayNumber(users, at) {
			break
		}
		chosen = append(chosen, numbers[i])
		if at == gone {
			at = r.plan.Pids.own(r.plan.Skeleton.PIDNamespaceOf(maker))
			continue
		}
		at = r.plan.Pids.around(at)
	}
	if len(chosen) == len(numbers) {
		return by.Fork(flags, exit, chosen...)
	}
	for range 100 { // in the host's pid namespace others may be faster
		for i, above := len(numbers)-len(chosen)-1, at; i >= 0; i, above = i-1, r.plan.Pids.around(above) {
			if err := r.goOn(above, numbers[i]-1); err != nil {
				return nil, err
			}
		}
		t, err := by.Fork(flags, exit, chosen...)
		if err != nil {
			return nil, err
		}
		status, err := procfs.ReadStatus(t.PID())
		if err != nil {
			return nil, err
		}
		if got := status.NSpid[r.level:]; len(got) == len(numbers) && slices.EqualFunc(got, numbers, func(a int, b uint32) bool { return a == int(b) }) {
			return t, nil
		}
		if flags&(unix.CLONE_THREAD|unix.CLONE_PARENT) != 0 {
			return nil, fmt.Errorf("make task %d: the kernel has given it the numbers %v instead of %v, and in its user namespace it may not choose", numbers[0], status.NSpid[r.level:], numbers)
		}
		if err := r.end(t, by, len(numbers)-1); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("make task %d: another process has that number, and in its user namespace it may not choose", numbers[0])
}

// goOn has a pid namespace go on with the numbers above last, by a process in it
// that may say so.
func (r *restart) goOn(namespace, last uint32) error {
	namespace = r.plan.Pids.own(namespace)
	if namespace == 0 {
		return namespaces.SetLastPID(r.root, last)
	}
	for pid, t := range r.leaders {
		if r.plan.Pids.in[pid] == namespace && r.mayNumber(r.plan.Skeleton.UserNamespaceOf(r.born[pid]), namespace) {
			return namespaces.SetLastPID(t, last)
		}
	}
	return errors.New("nobody in a pid namespace of the container may choose numbers there")
}

// birth makes the process of a step. One that is the first in a pid namespace, or
// is born into a process group that it has no word for, is made by a sibling that
// stands in for its maker: it enters the user namespace that the pid namespace
// is to belong to, and that process group, which the maker must not.
func (r *restart) birth(s Step, flags uint64, exit int) (*stub.Task, error) {
	by, maker := r.leaders[s.By], r.born[s.By]
	pids := r.plan.Pids
	from, to, numbers := pids.in[s.By], pids.in[s.PID], pids.numbers[s.PID]
	switch {
	case to == from:
		return r.forkBy(by, maker, flags, exit, to, numbers)
	case s.Between == 0:
		if err := r.space.Visit(by, 0, to); err != nil {
			return nil, err
		}
		t, err := r.forkBy(by, maker, flags, exit, to, numbers)
		back := from
		if back == 0 {
			back = pids.first
		}
		return t, errors.Join(err, r.space.Visit(by, 0, back))
	}
	between, err := r.forkBy(by, maker, flags, exit, from, pids.numbers[s.Between])
	if err != nil {
		return nil, err
	}
	t, err := r.birthBetween(s, between, flags)
	parent := by
	if s.Sibling {
		parent = r.leaders[r.plan.Skeleton.Process(s.By).GetParent()]
	}
	return t, errors.Join(err, r.end(between, parent, pids.depth(from)))
}

func (r *restart) birthBetween(s Step, between *stub.Task, flags uint64) (*stub.Task, error) {
	pids, maker := r.plan.Pids, r.born[s.By]
	to := pids.in[s.PID]
	if s.Group != 0 {
		group, err := pids.as(s.Group, s.By)
		if err != nil {
			return nil, err
		}
		if _, err := between.Call(unix.SYS_SETPGID, 0, uint64(group)); err != nil {
			return nil, fmt.Errorf("join process group %d, to be born into it: %w", s.Group, err)
		}
	}
	if pids.isFirst(s.PID) {
		flags |= unix.CLONE_NEWPID
		if born := r.bornFirst(s); to != gone {
			// What is needed of its other namespaces, it may not enter afterwards.
			if err := r.space.Join(between, r.bears[s.By], born); err != nil {
				return nil, err
			}
			users := r.plan.Skeleton.UserNamespaceOf(born)
			if users != r.plan.Skeleton.UserNamespaceOf(maker) {
				if err := r.space.Visit(between, users, 0); err != nil {
					return nil, err
				}
			}
			maker = born
		}
	} else if err := r.space.Visit(between, 0, to); err != nil {
		return nil, err
	}
	return r.forkBy(between, maker, flags|unix.CLONE_PARENT, 0, to, pids.numbers[s.PID])
}

// bornFirst are the namespaces that the first process of a pid namespace is born
// into: its own, but that of users is the one that the pid namespace belongs to.
func (r *restart) bornFirst(s Step) []uint32 {
	p := r.plan.Skeleton.Process(s.PID)
	set := r.withUsers(p.Namespaces, r.bears[s.By])
	if owner := r.plan.Skeleton.Namespace(r.plan.Pids.in[s.PID]).GetOwner(); owner != 0 {
		set = r.withUsers(set, []uint32{owner})
	}
	// Its pid namespace comes with it.
	return r.withKind(set, r.bears[s.By], format.NamespaceKind_PID)
}

// noteBorn notes the pid namespace that has come into being with its first
// process, and has a process in it make its proc: a copy of the container's first
// one, which may, and whom the kernel does not hold to what is seen of proc already
// (mount_too_revealing, fs/namespace.c).
func (r *restart) noteBorn(pid uint32, t *stub.Task) (err error) {
	namespace := r.plan.Pids.in[pid]
	if err := r.space.SetNamespace(namespace, fmt.Sprintf("/proc/%d/ns/pid", t.PID())); err != nil {
		return err
	}
	if !r.space.NeedsProcs(namespace) {
		return nil
	}
	between, err := r.root.Fork(0, int(unix.SIGCHLD))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.end(between, r.root, 0)) }()
	if err := r.space.Visit(between, 0, namespace); err != nil {
		return err
	}
	maker, err := between.Fork(0, int(unix.SIGCHLD))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.end(maker, between, 0)) }()
	return r.space.MakeProcs(maker, namespace)
}

// childNamespaces gives a task what its children are to be in.
func (r *restart) childNamespaces(t *stub.Task, k *format.Task) error {
	if k.UnbornNamespace {
		if _, err := t.Call(unix.SYS_UNSHARE, unix.CLONE_NEWPID); err != nil {
			return fmt.Errorf("a new pid namespace for the children of task %d: %w", k.Tid, err)
		}
		return nil
	}
	id := r.plan.Skeleton.PIDNamespaceOf(k.ChildNamespaces)
	if id == 0 {
		return nil
	}
	if _, err := r.space.Namespace(id); err == nil {
		return r.space.Visit(t, 0, id)
	}
	// Nobody is in it any more: its first process has ended, and with it the namespace.
	if _, err := t.Call(unix.SYS_UNSHARE, unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("a pid namespace for the children of task %d: %w", k.Tid, err)
	}
	first, err := t.Fork(0, int(unix.SIGCHLD))
	if err != nil {
		return err
	}
	status, err := procfs.ReadStatus(t.PID())
	if err != nil {
		return err
	}
	if err := r.end(first, t, len(status.NSpid)-1-r.level); err != nil {
		return err
	}
	return r.space.SetNamespace(id, fmt.Sprintf("/proc/%d/ns/pid_for_children", t.PID()))
}

// nestedLastPIDs has the pid namespaces that programs have made go on with the
// numbers that they would have given out next.
func (r *restart) nestedLastPIDs() error {
	for _, n := range r.plan.Skeleton.Namespaces {
		if n.Kind != format.NamespaceKind_PID || n.LastPid == 0 {
			continue
		}
		if err := r.goOn(n.Id, n.LastPid); err != nil {
			r.log.Warn("a pid namespace of the container gives out numbers that it has given before", "why", err)
		}
	}
	return nil
}
