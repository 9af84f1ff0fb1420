package restorer

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// anySession says that it does not matter into which session a process is born,
// since it makes its own.
const anySession = -1

// treePlanner finds an order of forks and setsids that gives every process its
// parent and session. A session is inherited at birth and left only by setsid,
// so who is in which session at the time of a fork is all that matters:
//
//   - a parent can make children before its own setsid and after;
//   - a child of another session is made by a sibling that is in it
//     (CLONE_PARENT), if need be by a helper that stands for a leader that ended;
//   - a process that its session's members outlived as orphans is made by a
//     helper below a member, which then ends: whoever adopted it does so again,
//     as the only subreaper at that moment.
type treePlanner struct {
	*Plan
	children map[uint32][]*format.Process
	session  map[uint32]int64 // of processes made so far, helpers too
	led      map[uint32]bool  // process groups that have been made on the way
	siblings map[uint32][]uint32
	used     map[uint32]bool // numbers of tasks, groups, sessions: not for helpers
	next     uint32
	late     []*format.Process
}

func newTreePlanner(p *Plan) *treePlanner {
	t := &treePlanner{
		Plan:     p,
		children: map[uint32][]*format.Process{},
		session:  map[uint32]int64{},
		led:      map[uint32]bool{},
		siblings: map[uint32][]uint32{},
		used:     map[uint32]bool{},
		next:     2,
	}
	for _, c := range p.Skeleton.Processes {
		if c != p.Root {
			t.children[c.Parent] = append(t.children[c.Parent], c)
		}
		t.used[c.Group], t.used[c.Session] = true, true
		for _, k := range c.Tasks {
			t.used[k.Tid] = true
		}
	}
	for _, list := range t.children {
		slices.SortFunc(list, func(a, b *format.Process) int { return int(a.Pid) - int(b.Pid) })
	}
	return t
}

func (t *treePlanner) run() error {
	born := int64(t.OutsideSession)
	t.session[t.Root.Pid] = born
	if err := t.grow(t.Root, born); err != nil {
		return err
	}
	if err := t.adoptLate(); err != nil {
		return err
	}
	for _, p := range t.Skeleton.Processes {
		if _, ok := t.session[p.Pid]; !ok {
			return fmt.Errorf("process %d (%s) has no way from the container's first process: its parent is %d", p.Pid, name(p), p.Parent)
		}
	}
	return t.groups()
}

// grow makes the children of a process that exists and is in session born.
func (t *treePlanner) grow(p *format.Process, born int64) error {
	rest := t.children[p.Pid]
	make := func(c *format.Process, by uint32, sibling bool) error {
		if err := t.fork(c, by, sibling); err != nil {
			return err
		}
		t.siblings[p.Pid] = append(t.siblings[p.Pid], c.Pid)
		return t.grow(c, t.session[by])
	}
	// Those of the session it was born into, before it leaves it.
	if p.Session == p.Pid {
		var later []*format.Process
		for _, c := range rest {
			if want := t.birth(c); want == born && want != int64(p.Session) {
				if err := make(c, p.Pid, false); err != nil {
					return err
				}
				continue
			}
			later = append(later, c)
		}
		rest = later
		t.setsid(p.Pid)
	}
	now := t.session[p.Pid]
	var others []*format.Process
	for _, c := range rest {
		if want := t.birth(c); want == anySession || want == now {
			by, sibling := t.maker(c, p, want)
			if err := make(c, by, sibling); err != nil {
				return err
			}
			continue
		}
		others = append(others, c)
	}
	for _, c := range others {
		by, ok := t.memberOf(t.birth(c), p, c)
		if !ok {
			t.late = append(t.late, c)
			continue
		}
		// The kernel gives a sibling its maker's exit signal; helpers have SIGCHLD.
		signal := uint32(unix.SIGCHLD)
		if b := t.Skeleton.Process(by); b != nil {
			signal = b.ExitSignal
		}
		if c.ExitSignal != signal {
			return fmt.Errorf("process %d (%s) tells its end to its parent %d by signal %d, and in its session %d no process is there that could make such a one", c.Pid, name(c), p.Pid, c.ExitSignal, t.birth(c))
		}
		if err := make(c, by, true); err != nil {
			return err
		}
	}
	return nil
}

// birth is the session a process has to be born into: its own, or, if it leads
// one, the one that its children kept from before.
func (t *treePlanner) birth(p *format.Process) int64 {
	if p.Session != p.Pid {
		return int64(p.Session)
	}
	for _, c := range t.children[p.Pid] {
		if c.Session != p.Pid && c.Session != c.Pid {
			return int64(c.Session)
		}
	}
	return anySession
}

// memberOf finds, or makes, a child of p that is in the session and can make
// another child.
func (t *treePlanner) memberOf(session int64, p, child *format.Process) (uint32, bool) {
	for _, s := range t.siblings[p.Pid] {
		if t.session[s] == session && !t.Pids.isFirst(s) && t.Pids.canMake(s, child.Pid) {
			return s, true
		}
	}
	if session <= 0 || t.Skeleton.Process(uint32(session)) != nil || session == int64(t.OutsideSession) {
		return 0, false
	}
	if _, made := t.session[uint32(session)]; made {
		return 0, false
	}
	h := uint32(session)
	if t.Pids.isFirst(h) || !t.Pids.canMake(p.Pid, child.Pid) || t.Pids.depth(t.Pids.in[p.Pid]) > len(child.InnerSession) {
		return 0, false
	}
	t.helper(h, p.Pid)
	// It has the numbers that the leader had.
	copy(t.Pids.numbers[h][1:], child.InnerSession)
	t.setsid(h)
	t.siblings[p.Pid] = append(t.siblings[p.Pid], h)
	t.Helpers = append(t.Helpers, Helper{h, p.Pid})
	return h, true
}

// adoptLate makes those whose parent was never in their session: orphans that
// the root adopted.
func (t *treePlanner) adoptLate() error {
	for len(t.late) > 0 {
		before := len(t.late)
		list := t.late
		t.late = nil
		for _, c := range list {
			member, ok := t.memberBelow(t.birth(c), c.Parent, t.Pids.in[c.Parent])
			if !ok {
				t.late = append(t.late, c)
				continue
			}
			h := t.free()
			t.helper(h, member)
			if err := t.fork(c, h, false); err != nil {
				return err
			}
			t.Steps = append(t.Steps, Step{Kind: EndHelper, PID: h, By: member, Adopter: c.Parent})
			if err := t.grow(c, t.session[member]); err != nil {
				return err
			}
		}
		if len(t.late) == before {
			c := t.late[0]
			return fmt.Errorf("process %d (%s) is in session %d, and no process of the container can give it that: none below its parent %d is in it", c.Pid, name(c), c.Session, c.Parent)
		}
	}
	return nil
}

// memberBelow finds a process of a session whose orphans another process can
// adopt: one that descends from that, in a pid namespace. One that is to be a zombie
// will do, for it ends when all are made.
func (t *treePlanner) memberBelow(session int64, adopter, namespace uint32) (uint32, bool) {
	below := func(p *format.Process) bool {
		for at := p; at != nil; at = t.Skeleton.Process(at.Parent) {
			if at.Parent == adopter {
				return true
			}
		}
		return adopter == t.Root.Pid
	}
	for _, zombie := range []bool{false, true} {
		for _, p := range t.Skeleton.Processes {
			s, made := t.session[p.Pid]
			if made && s == session && zombie == (p.State == format.ProcessState_ZOMBIE) && t.Pids.in[p.Pid] == namespace && below(p) {
				return p.Pid, true
			}
		}
	}
	for _, h := range t.Helpers {
		parent := t.Skeleton.Process(h.Parent)
		if t.session[h.PID] == session && t.Pids.in[h.PID] == namespace && (h.Parent == adopter || below(parent)) {
			return h.PID, true
		}
	}
	return 0, false
}

// maker is who makes a child of p: p itself, or a sibling that shares more with
// it, as one that was made by CLONE_PARENT does.
func (t *treePlanner) maker(c, p *format.Process, session int64) (by uint32, sibling bool) {
	by, most := p.Pid, bits.OnesCount64(t.share(c, p.Pid))
	for _, s := range t.siblings[p.Pid] {
		b := t.Skeleton.Process(s)
		if b == nil || t.Pids.isFirst(s) || !t.Pids.canMake(s, c.Pid) || b.ExitSignal != c.ExitSignal || session != anySession && t.session[s] != session {
			continue
		}
		if n := bits.OnesCount64(t.share(c, s)); n > most {
			by, sibling, most = s, true, n
		}
	}
	return by, sibling
}

func (t *treePlanner) fork(c *format.Process, by uint32, sibling bool) error {
	if !t.Pids.canMake(by, c.Pid) {
		return fmt.Errorf("process %d (%s) is in a pid namespace that its maker %d is not above", c.Pid, name(c), by)
	}
	group, err := t.bornInto(c, by)
	if err != nil {
		return err
	}
	step := Step{Kind: Fork, PID: c.Pid, By: by, Sibling: sibling, Share: t.share(c, by), Group: group}
	if t.Pids.in[c.Pid] != t.Pids.in[by] && (group != 0 || t.Pids.isFirst(c.Pid)) {
		step.Between = t.free()
		t.Pids.helper(step.Between, by)
	}
	t.Steps = append(t.Steps, step)
	t.session[c.Pid] = t.session[by]
	return nil
}

// bornInto is the process group that a process has to be born into, since those
// in its pid namespace have no word for it; 0 if it is born into no such one, or
// its maker is in it already.
func (t *treePlanner) bornInto(c *format.Process, by uint32) (uint32, error) {
	if t.Pids.in[c.Pid] == t.Pids.in[by] {
		return 0, nil
	}
	group, err := t.outerGroupOf(c)
	if group == 0 || group == t.OutsideGroup || err != nil {
		return 0, err
	}
	leader := t.Skeleton.Process(group)
	_, made := t.session[group]
	switch {
	case t.led[group]:
	case leader == nil && !made:
		// It has ended: somebody leads until all are in.
		t.helper(group, by)
		t.Steps = append(t.Steps, Step{Kind: Lead, PID: group})
		t.Helpers = append([]Helper{{group, by}}, t.Helpers...)
	case !made:
		return 0, fmt.Errorf("process %d (%s) is in process group %d from outside of its pid namespace, and that process is made later", c.Pid, name(c), group)
	case t.session[group] != int64(group):
		t.Steps = append(t.Steps, Step{Kind: Lead, PID: group})
	}
	t.led[group] = true
	return group, nil
}

// outerGroupOf is the one group from outside that processes in the pid namespace
// of a process are in.
func (t *treePlanner) outerGroupOf(c *format.Process) (uint32, error) {
	if t.Pids.in[c.Pid] == gone {
		return t.Pids.outerGroup(c), nil
	}
	if !t.Pids.isFirst(c.Pid) {
		return t.Pids.outerGroup(c), nil
	}
	found := uint32(0)
	for _, p := range t.Skeleton.Processes {
		if t.Pids.in[p.Pid] != t.Pids.in[c.Pid] || !t.descends(p, c) {
			continue
		}
		switch g := t.Pids.outerGroup(p); {
		case g == 0 || g == found:
		case found == 0:
			found = g
		default:
			return 0, fmt.Errorf("processes in the pid namespace of process %d (%s) are in process groups %d and %d from outside of it: such a pair can't be restarted yet", c.Pid, name(c), found, g)
		}
	}
	return found, nil
}

// descends tells whether a process comes from another one, which is the first in
// its pid namespace.
func (t *treePlanner) descends(p, from *format.Process) bool {
	for at := p; at != nil; at = t.Skeleton.Process(at.Parent) {
		if at == from {
			return true
		}
	}
	return false
}

func (t *treePlanner) helper(pid, by uint32) {
	t.used[pid] = true
	t.Pids.helper(pid, by)
	t.Steps = append(t.Steps, Step{Kind: Fork, PID: pid, By: by})
	t.session[pid] = t.session[by]
}

func (t *treePlanner) setsid(pid uint32) {
	t.Steps = append(t.Steps, Step{Kind: Setsid, PID: pid})
	t.session[pid] = int64(pid)
}

// free is a number for a helper.
func (t *treePlanner) free() uint32 {
	for t.used[t.next] {
		t.next++
	}
	t.used[t.next] = true
	return t.next
}

// groups plans the process groups: first each one that processes are in is made
// by the process of its number, then the others join. If that process has
// ended, a helper leads until all have joined; if it is in another group
// itself, a helper keeps the group that it leaves.
func (t *treePlanner) groups() error {
	var members []Join
	made := map[uint32]bool{}
	for _, h := range t.Helpers {
		made[h.PID] = true // it leads a session, and so its group
	}
	for g := range t.led {
		made[g] = true
	}
	for _, p := range t.Skeleton.Processes {
		g := p.Group
		if g == 0 || g == t.OutsideGroup || g == p.Pid && p.Session == p.Pid || t.Pids.outerGroup(p) != 0 {
			continue
		}
		if !made[g] {
			made[g] = true
			if err := t.makeGroup(p); err != nil {
				return err
			}
		}
		if g != p.Pid {
			members = append(members, Join{p.Pid, g})
		}
	}
	t.Groups = append(t.Groups, members...)
	return nil
}

// makeGroup plans the group that p is in.
func (t *treePlanner) makeGroup(p *format.Process) error {
	g := p.Group
	leader := t.Skeleton.Process(g)
	if leader != nil && leader.Session == leader.Pid {
		return nil // setsid has made it
	}
	keeper := g
	if leader != nil {
		if leader.Group == 0 || leader.Group == t.OutsideGroup {
			return fmt.Errorf("process %d (%s) is in process group %d, whose leader is in one from outside the container, to which it could not go back", p.Pid, name(p), g)
		}
		t.Groups = append(t.Groups, Join{g, g})
		if leader.Group == g {
			return nil
		}
		keeper = t.free()
	}
	by, ok := t.memberBelow(int64(p.Session), t.Root.Pid, t.Pids.in[p.Pid])
	if !ok {
		return fmt.Errorf("process %d (%s) is in process group %d of session %d, which has no member that could make it", p.Pid, name(p), g, p.Session)
	}
	t.helper(keeper, by)
	if keeper == g {
		copy(t.Pids.numbers[keeper][1:], p.InnerGroup)
	}
	t.Helpers = append([]Helper{{keeper, by}}, t.Helpers...)
	t.Groups = append(t.Groups, Join{keeper, g})
	return nil
}

func name(p *format.Process) string {
	if len(p.Tasks) > 0 {
		return p.Tasks[0].Name
	}
	return "?"
}
