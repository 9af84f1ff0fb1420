package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/namespaces"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/restorer/tasks"
)

// makeTree makes processes with their parents, sessions and groups, then
// threads.
func (r *restart) makeTree() error {
	pours := r.plan.Pours
	for i, s := range r.plan.Steps {
		for len(pours) > 0 && pours[0].Step == i {
			if err := r.pourInherited(&pours[0]); err != nil {
				return err
			}
			pours = pours[1:]
		}
		if err := r.step(s); err != nil {
			return err
		}
	}
	for _, j := range r.plan.Groups {
		group, err := r.plan.Pids.as(j.Group, j.PID)
		if err == nil {
			_, err = r.leaders[j.PID].Call(unix.SYS_SETPGID, 0, uint64(group))
		}
		if err != nil {
			return fmt.Errorf("put process %d into process group %d: %w", j.PID, j.Group, err)
		}
	}
	if err := r.makeThreads(); err != nil {
		return err
	}
	for _, h := range r.plan.Helpers {
		if err := r.endHelper(h.PID, h.Parent); err != nil {
			return err
		}
	}
	return r.space.FinishMounts()
}

func (r *restart) step(s Step) error {
	switch s.Kind {
	case Fork:
		return r.fork(s)
	case Setsid:
		return r.setsid(s.PID)
	case Lead:
		_, err := r.leaders[s.PID].Call(unix.SYS_SETPGID, 0, 0)
		return err
	default:
		return r.orphan(s)
	}
}

func (r *restart) fork(s Step) error {
	flags, exit := s.Share, int(unix.SIGCHLD)
	if p := r.plan.Skeleton.Process(s.PID); p != nil {
		exit = int(p.ExitSignal)
	}
	if s.Sibling {
		// The kernel gives a sibling its maker's exit signal.
		flags, exit = flags|unix.CLONE_PARENT, 0
	}
	t, err := r.birth(s, flags, exit)
	if t != nil {
		r.leaders[s.PID] = t
	}
	if err != nil {
		return err
	}
	p := r.plan.Skeleton.Process(s.PID)
	r.born[s.PID], r.bears[s.PID] = r.bears[s.By], r.bears[s.By]
	if p == nil {
		return nil
	}
	r.tasks[s.PID] = t
	if p.State == format.ProcessState_ZOMBIE {
		return nil
	}
	if s.Between != 0 && r.plan.Pids.isFirst(s.PID) {
		if err := r.noteBorn(s.PID, t); err != nil {
			return fmt.Errorf("pid namespace of process %d (%s): %w", s.PID, name(p), err)
		}
		r.born[s.PID] = r.withKind(r.bornFirst(s), p.Namespaces, format.NamespaceKind_PID)
		if users := r.plan.Skeleton.UserNamespaceOf(r.born[s.PID]); users != r.plan.Skeleton.UserNamespaceOf(r.bears[s.By]) && !r.isOutside(p) {
			if err := r.space.BecomeRoot(t, users, p.Tasks[0].Credentials); err != nil {
				return fmt.Errorf("process %d (%s): %w", s.PID, name(p), err)
			}
		}
	} else {
		if err := r.space.Join(t, r.bears[s.By], p.Namespaces); err != nil {
			return fmt.Errorf("process %d (%s): %w", s.PID, name(p), err)
		}
		r.born[s.PID] = r.withUsers(p.Namespaces, r.bears[s.By])
	}
	r.bears[s.PID] = r.born[s.PID]
	if err := r.bearing(p, t); err != nil {
		return err
	}
	if r.isOutside(p) && !r.sharesFs(s) {
		return nil // it enters its user namespace later
	}
	return r.enterUsers(p)
}

// bearing gives a process the time namespace that its children are born into.
func (r *restart) bearing(p *format.Process, t *stub.Task) error {
	k := p.Tasks[0]
	if p.State == format.ProcessState_ZOMBIE || len(k.ChildNamespaces) == 0 || r.space == nil {
		return nil
	}
	made, err := r.space.ChildTime(t, k)
	if err != nil {
		return fmt.Errorf("process %d (%s): %w", p.Pid, name(p), err)
	}
	if made {
		r.bears[p.Pid] = r.withKind(r.born[p.Pid], k.ChildNamespaces, format.NamespaceKind_TIME)
	}
	return nil
}

// setsid makes a session, and gives it its terminal at once: those born into
// it later inherit that.
func (r *restart) setsid(pid uint32) error {
	t := r.leaders[pid]
	// The stage's first process can lead a session already.
	sid, err := t.Call(unix.SYS_GETSID, 0)
	if err != nil {
		return err
	}
	if own := r.plan.Pids.numbers[pid]; uint32(sid) == own[len(own)-1] {
		err = namespaces.LeaveTerminal(t)
	} else {
		_, err = t.Call(unix.SYS_SETSID)
	}
	if err != nil {
		return fmt.Errorf("make session %d: %w", pid, err)
	}
	p := r.plan.Skeleton.Process(pid)
	if p == nil || p.Terminal == nil {
		return nil
	}
	if err := r.files.Terminal(t, p.Terminal); err != nil {
		return fmt.Errorf("terminal %s of session %d: %w", p.Terminal.Path, pid, err)
	}
	return nil
}

// orphan ends a helper and has its child adopted by the one that it belongs to:
// for that moment, the only subreaper of all.
func (r *restart) orphan(s Step) error {
	adopter := r.leaders[s.Adopter]
	if err := tasks.Subreaper(adopter, true); err != nil {
		return err
	}
	if err := r.endHelper(s.PID, s.By); err != nil {
		return err
	}
	return tasks.Subreaper(adopter, false)
}

func (r *restart) endHelper(pid, parent uint32) error {
	h := r.leaders[pid]
	delete(r.leaders, pid)
	return r.end(h, r.leaders[parent], r.plan.Pids.depth(r.plan.Pids.in[parent]))
}

func (r *restart) makeThreads() error {
	for _, p := range r.plan.Skeleton.Processes {
		if p.State == format.ProcessState_ZOMBIE || r.isOutside(p) {
			continue
		}
		if err := r.makeThreadsOf(p); err != nil {
			return err
		}
	}
	return nil
}

func (r *restart) makeThreadsOf(p *format.Process) error {
	leader, first := r.leaders[p.Pid], p.Tasks[0]
	for _, k := range p.Tasks[1:] {
		flags := uint64(unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM)
		if k.Files == first.Files {
			flags |= unix.CLONE_FILES
		}
		if k.Fs == first.Fs {
			flags |= unix.CLONE_FS
		}
		t, err := r.forkBy(leader, r.born[p.Pid], flags, 0, r.plan.Pids.in[p.Pid], r.plan.Pids.numbers[k.Tid])
		if err != nil {
			return fmt.Errorf("thread of process %d (%s): %w", p.Pid, name(p), err)
		}
		r.tasks[k.Tid] = t
		if err := r.space.Join(t, p.Namespaces, k.Namespaces); err != nil {
			return fmt.Errorf("task %d (%s): %w", k.Tid, k.Name, err)
		}
	}
	return nil
}

func (r *restart) endZombies() error {
	for _, p := range r.plan.Skeleton.Processes {
		if p.State != format.ProcessState_ZOMBIE {
			continue
		}
		t := r.leaders[p.Pid]
		delete(r.tasks, p.Pid)
		delete(r.leaders, p.Pid)
		if len(p.Tasks) > 0 {
			if err := t.Rename(p.Tasks[0].Name); err != nil {
				return err
			}
		}
		if err := t.Become(unix.WaitStatus(p.WaitStatus)); err != nil {
			return fmt.Errorf("make process %d the zombie that it was: %w", p.Pid, err)
		}
	}
	return nil
}
