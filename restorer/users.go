package restorer

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// A process enters its user namespace when the sockets have been connected: their
// peers see them as who they were before (SO_PEERCRED), and in its namespace a
// process may have no way to be that any more. But it has to do so before it has
// threads, or shares its root directory with another process (setns(2)); of the
// latter, each enters as soon as it is made.

// withUsers is a set of namespaces, with the user namespace of another one.
func (r *restart) withUsers(set, from []uint32) []uint32 {
	return r.withKind(set, from, format.NamespaceKind_USER)
}

// withKind is a set of namespaces, with that of one kind from another one.
func (r *restart) withKind(set, from []uint32, kind format.NamespaceKind) []uint32 {
	is := func(id uint32) bool { return r.plan.Skeleton.Namespace(id).GetKind() == kind }
	set = slices.DeleteFunc(slices.Clone(set), is)
	if i := slices.IndexFunc(from, is); i >= 0 {
		set = append(set, from[i])
	}
	return set
}

// isOutside says of a process that it has not entered its user namespace yet.
func (r *restart) isOutside(p *format.Process) bool {
	s := r.plan.Skeleton
	return s.UserNamespaceOf(r.born[p.Pid]) != s.UserNamespaceOf(p.Namespaces)
}

// sharesFs tells whether a process that is made shares its root directory with
// its maker, or will with one that it makes.
func (r *restart) sharesFs(made Step) bool {
	if made.Share&unix.CLONE_FS != 0 {
		return true
	}
	return slices.ContainsFunc(r.plan.Steps, func(s Step) bool {
		return s.Kind == Fork && s.By == made.PID && s.Share&unix.CLONE_FS != 0
	})
}

func (r *restart) enterUsers(p *format.Process) error {
	from := r.plan.Skeleton.UserNamespaceOf(r.born[p.Pid])
	if len(p.Tasks) == 1 && r.isOutside(p) {
		r.settled[p.Pid] = true
		// As long as it has the right to, and since it makes no threads afterwards.
		if err := r.childNamespaces(r.leaders[p.Pid], p.Tasks[0]); err != nil {
			return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
		}
	}
	if err := r.space.EnterUsers(r.leaders[p.Pid], from, p.Namespaces, p.Tasks[0].Credentials); err != nil {
		return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
	}
	r.born[p.Pid] = p.Namespaces
	r.bears[p.Pid] = r.withUsers(r.bears[p.Pid], p.Namespaces)
	return nil
}

// enterAllUsers has those enter that have not yet, and makes their threads.
func (r *restart) enterAllUsers() error {
	if err := r.keyrings(); err != nil {
		return err
	}
	numbers := map[uint32]int{}
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE || !r.isOutside(p) {
			continue
		}
		if err := r.enterUsers(p); err != nil {
			return err
		}
		if err := r.makeThreadsOf(p); err != nil {
			return err
		}
		for _, k := range p.Tasks[1:] {
			numbers[k.Tid] = r.tasks[k.Tid].PID()
			r.keyed[k.Tid] = k.SessionKeyring == p.Tasks[0].SessionKeyring // inherited
		}
	}
	return r.space.EnterThreadCgroups(numbers)
}

// usersOf are those of the user namespace that a process is in, by its number on
// the host: the first process's, as long as it has been put into no other.
func (r *restart) usersOf(pid int) *format.Users {
	return r.plan.Skeleton.UsersOf(r.isIn(r.numberOf(pid)))
}

// isIn are the namespaces that a process is in.
func (r *restart) isIn(pid uint32) []uint32 {
	if born, ok := r.born[pid]; ok {
		return born
	}
	return r.plan.Root.Namespaces
}

// numberOf is the number in the container of a task's process, by the task's on
// the host; 0 if it is a helper's.
func (r *restart) numberOf(pid int) uint32 {
	for number, t := range r.leaders {
		if t.PID() == pid {
			return number
		}
	}
	for _, p := range r.plan.Skeleton.Processes {
		for _, k := range p.Tasks {
			if t := r.tasks[k.Tid]; t != nil && t.PID() == pid {
				return p.Pid
			}
		}
	}
	return 0
}
