package ptrace

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/tracee"
)

// tree puts the attached tasks together to processes and adds the zombies,
// which no cgroup lists.
func (h *Held) tree() ([]*Process, error) {
	byPID := map[int]*Process{}
	for _, t := range h.tasks {
		p := byPID[t.pid]
		if p == nil {
			p = &Process{PID: t.pid, Command: commandOf(t.pid)}
			byPID[t.pid] = p
		}
		p.Threads = append(p.Threads, t.Thread)
	}
	parents := map[int]int{} // host's pid of each one's parent
	var refused refusal.List
	for _, p := range byPID {
		leaderFirst := func(t *tracee.Thread) int {
			if t.TID() == p.PID {
				return 0
			}
			return t.TID()
		}
		slices.SortFunc(p.Threads, func(a, b *tracee.Thread) int { return cmp.Compare(leaderFirst(a), leaderFirst(b)) })
		tracee.Share(p.Threads...)
		p.LeaderEnded = p.Threads[0].TID() != p.PID
		if s := p.Threads[0].Last(); s.GroupStop {
			p.Stopped, p.StopSignal = true, int(s.Signal)
		}
	}
	for _, p := range slices.Collect(maps.Values(byPID)) {
		stat, err := readStat(p.PID, p.PID)
		if err != nil {
			return nil, fmt.Errorf("process %d (%s): %w", p.PID, p.Command, err)
		}
		parents[p.PID] = stat.Parent
		for _, t := range p.Threads {
			children, err := childrenOf(p.PID, t.TID())
			if err != nil {
				return nil, err
			}
			for _, pid := range children {
				if byPID[pid] != nil {
					continue
				}
				z, err := h.child(p, pid)
				if z == nil && err == nil {
					continue
				}
				if r, ok := err.(*refusal.Refusal); ok {
					refused = append(refused, r)
					continue
				}
				if err != nil {
					return nil, err
				}
				byPID[pid], parents[pid] = z, p.PID
			}
		}
	}
	if err := refused.Err(); err != nil {
		return nil, err
	}
	for pid, p := range byPID {
		p.Parent = byPID[parents[pid]]
	}
	return h.order(byPID), nil
}

// child looks at a child of a process that is not among the attached ones.
func (h *Held) child(parent *Process, pid int) (*Process, error) {
	stat, err := readStat(pid, pid)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if stat.State == 'Z' || stat.State == 'X' {
		return &Process{PID: pid, Zombie: true, Command: stat.Comm}, nil
	}
	status, err := readStatus(pid, pid)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, h.refuse(status, pid, "foreign cgroup", fmt.Sprintf("it is a child of process %d (%s) and in another cgroup than the container's, %s", parent.PID, parent.Command, h.container.CgroupDir),
		"move it into the container's cgroup, or end it")
}

// order sorts parents before children: the container's first process first.
func (h *Held) order(byPID map[int]*Process) []*Process {
	children := map[*Process][]*Process{}
	for _, p := range byPID {
		children[p.Parent] = append(children[p.Parent], p)
	}
	for _, c := range children {
		slices.SortFunc(c, func(a, b *Process) int {
			if (a.PID == h.container.InitPID) != (b.PID == h.container.InitPID) {
				if a.PID == h.container.InitPID {
					return -1
				}
				return 1
			}
			return cmp.Compare(a.PID, b.PID)
		})
	}
	var all []*Process
	var add func(p *Process)
	add = func(p *Process) {
		if p != nil {
			all = append(all, p)
		}
		for _, c := range children[p] {
			add(c)
		}
	}
	add(nil)
	return all
}

// childrenOf reads /proc/PID/task/TID/children.
func childrenOf(pid, tid int) ([]int, error) {
	path := fmt.Sprintf("/proc/%d/task/%d/children", pid, tid)
	b, err := procfs.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("children of task %d: %w (the kernel needs CONFIG_PROC_CHILDREN)", tid, err)
	}
	var all []int
	for word := range strings.FieldsSeq(string(b)) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, n)
	}
	return all, nil
}
