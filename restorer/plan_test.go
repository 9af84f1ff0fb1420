package restorer

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/vectors"
)

// tree builds a skeleton from lines "PID PARENT SESSION GROUP"; "z" at the end
// makes a zombie, "vm", "files" or "fs" has it share that with its parent.
func tree(lines ...string) *format.Skeleton {
	s := vectors.Smallest()
	s.Header.Architecture = runtime.GOARCH
	exe := s.Mms[0].Exe
	s.Processes, s.Mms, s.Files, s.Fs, s.Sighands, s.Layout = nil, nil, nil, nil, nil, &format.Layout{}
	id := uint32(0)
	for _, line := range lines {
		words := strings.Fields(line)
		var n [4]uint32
		for i := range n {
			fmt.Sscan(words[i], &n[i])
		}
		p := vectors.Process(n[0], n[1], fmt.Sprintf("p%d", n[0]), 1)
		p.Session, p.Group = n[2], n[3]
		parent := s.Process(n[1])
		shares := func(word string) bool { id++; return slices.Contains(words, word) }
		if p.Mm = id + 1; shares("vm") {
			p.Mm, p.Sighand = parent.Mm, parent.Sighand
		} else {
			id++
			p.Sighand = id
			s.Mms = append(s.Mms, &format.Mm{Id: p.Mm, Exe: exe})
			s.Sighands = append(s.Sighands, &format.Sighand{Id: p.Sighand})
		}
		if p.Tasks[0].Files = id + 1; shares("files") {
			p.Tasks[0].Files = parent.Tasks[0].Files
		} else {
			s.Files = append(s.Files, &format.Files{Id: id})
		}
		if p.Tasks[0].Fs = id + 1; shares("fs") {
			p.Tasks[0].Fs = parent.Tasks[0].Fs
		} else {
			s.Fs = append(s.Fs, &format.Fs{Id: id, Root: "/", Cwd: "/"})
		}
		if slices.Contains(words, "z") {
			p = &format.Process{Pid: p.Pid, Parent: p.Parent, Session: p.Session, Group: p.Group, State: format.ProcessState_ZOMBIE, Tasks: p.Tasks}
		}
		s.Processes = append(s.Processes, p)
	}
	s.Container.RootPid = s.Processes[0].Pid
	return s
}

// world is as much of a kernel as a plan has to do with: who is whose child,
// and in which session and group.
type world struct {
	parent, session, group map[uint32]uint32
	root                   uint32
}

// follow does what a plan says, and says what no kernel would do.
func follow(p *Plan) (*world, error) {
	root := p.Root.Pid
	w := &world{parent: map[uint32]uint32{root: 0}, session: map[uint32]uint32{root: p.OutsideSession}, group: map[uint32]uint32{root: p.OutsideGroup}, root: root}
	for _, s := range p.Steps {
		switch s.Kind {
		case Fork:
			if _, ok := w.session[s.By]; !ok {
				return nil, fmt.Errorf("%d is forked by %d, which is not there", s.PID, s.By)
			}
			if _, taken := w.session[s.PID]; taken {
				return nil, fmt.Errorf("%d is made twice", s.PID)
			}
			w.parent[s.PID] = s.By
			if s.Sibling {
				w.parent[s.PID] = w.parent[s.By]
			}
			w.session[s.PID], w.group[s.PID] = w.session[s.By], w.group[s.By]
		case Setsid:
			for pid, g := range w.group {
				if g == s.PID && (pid != s.PID || w.session[pid] != s.PID) {
					return nil, fmt.Errorf("setsid of %d, a group leader", s.PID)
				}
			}
			w.session[s.PID], w.group[s.PID] = s.PID, s.PID
		case EndHelper:
			adopter := s.Adopter
			for at := w.parent[s.PID]; at != adopter; at = w.parent[at] {
				if at == 0 {
					return nil, fmt.Errorf("%d can't adopt a child of %d, which is not below it", adopter, s.PID)
				}
			}
			w.end(s.PID, adopter)
		}
	}
	for _, j := range p.Groups {
		if j.PID != j.Group {
			leader := false
			for pid, g := range w.group {
				leader = leader || g == j.Group && w.session[pid] == w.session[j.PID]
			}
			if !leader {
				return nil, fmt.Errorf("%d joins group %d, which is not in its session %d", j.PID, j.Group, w.session[j.PID])
			}
		}
		if w.session[j.PID] == j.PID && j.Group != j.PID {
			return nil, fmt.Errorf("session leader %d changes its group", j.PID)
		}
		w.group[j.PID] = j.Group
	}
	for _, h := range p.Helpers {
		if w.parent[h.PID] != h.Parent {
			return nil, fmt.Errorf("helper %d is a child of %d, not of %d", h.PID, w.parent[h.PID], h.Parent)
		}
		w.end(h.PID, root)
	}
	return w, nil
}

// end ends a helper: another process adopts its children.
func (w *world) end(pid, adopter uint32) {
	delete(w.session, pid)
	delete(w.group, pid)
	for c, p := range w.parent {
		if p == pid {
			w.parent[c] = adopter
		}
	}
	delete(w.parent, pid)
}

// compare says how the world differs from what the image says.
func (w *world) compare(s *format.Skeleton) error {
	if len(w.session) != len(s.Processes) {
		return fmt.Errorf("%d processes instead of %d", len(w.session), len(s.Processes))
	}
	for _, p := range s.Processes {
		have := [3]uint32{w.parent[p.Pid], w.session[p.Pid], w.group[p.Pid]}
		if want := [3]uint32{p.Parent, p.Session, p.Group}; have != want {
			return fmt.Errorf("process %d has parent, session, group %v instead of %v", p.Pid, have, want)
		}
	}
	return nil
}

func TestPlanTrees(t *testing.T) {
	for name, lines := range map[string][]string{
		"one":                                 {"1 0 1 1"},
		"one of the host's session":           {"7 0 0 0"},
		"group of its own, session outside":   {"7 0 3 7", "8 7 3 7"},
		"children":                            {"1 0 1 1", "2 1 1 1", "3 1 1 1", "4 2 1 1"},
		"sessions":                            {"1 0 1 1", "4 1 4 4", "5 4 4 5", "6 4 4 5", "7 1 7 7"},
		"a leader whose child kept the old":   {"1 0 1 1", "4 1 4 4", "5 4 1 1"},
		"session whose leader ended":          {"1 0 1 1", "5 1 4 4", "6 1 4 4"},
		"daemon: forked twice, adopted":       {"1 0 1 1", "4 1 4 4", "9 1 4 4"},
		"orphan of a subreaper":               {"1 0 1 1", "4 1 1 1", "5 4 5 5", "7 5 7 7", "9 4 7 7"},
		"orphan of an ended leader":           {"1 0 1 1", "4 1 1 1", "5 4 5 5", "9 4 7 7"},
		"orphan of a deeper session":          {"1 0 1 1", "4 1 4 4", "6 4 6 6", "9 1 6 6"},
		"group whose leader ended":            {"1 0 1 1", "5 1 1 3", "6 1 1 3"},
		"group of an ended leader elsewhere":  {"1 0 1 1", "4 1 4 4", "6 4 4 5", "7 4 4 5"},
		"orphan of a zombie's session":        {"1 0 1 1", "4 1 4 4", "5 4 5 5 z", "9 1 5 5"},
		"group of which zombies are left":     {"1 0 1 1", "4 1 4 4", "5 4 5 5 z", "6 1 5 8"},
		"a leader that ended, all zombies":    {"1 0 1 1", "4 1 4 4 z", "5 1 4 7 z"},
		"zombies":                             {"1 0 1 1", "4 1 4 4 z", "5 1 1 5 z", "6 1 6 6", "7 6 6 7 z"},
		"groups across parents":               {"1 0 1 1", "2 1 1 2", "3 2 1 2", "4 1 1 2"},
		"shares with its parent":              {"1 0 1 1", "2 1 1 1 vm files", "3 2 1 1 files fs"},
		"numbers that helpers might want":     {"1 0 1 1", "2 1 1 3", "4 1 1 3", "5 1 6 6", "7 1 6 8"},
		"chain of leaders and kept sessions":  {"1 0 1 1", "3 1 3 3", "5 3 1 1", "7 5 7 7", "9 7 1 1"},
		"two orphans of two ended leaders":    {"1 0 1 1", "5 1 3 3", "6 1 4 4"},
		"thread group of a session that left": {"1 0 1 1", "8 1 8 8", "9 8 8 9", "10 9 8 9", "11 1 8 9"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tree(lines...)
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			p, err := NewPlan(s)
			if err != nil {
				t.Fatal(err)
			}
			w, err := follow(p)
			if err != nil {
				t.Fatalf("%v\n%+v", err, p.Steps)
			}
			if err := w.compare(s); err != nil {
				t.Errorf("%v\nsteps %+v\ngroups %+v\nhelpers %+v", err, p.Steps, p.Groups, p.Helpers)
			}
		})
	}
}

func TestPlanSharing(t *testing.T) {
	s := tree("1 0 1 1", "2 1 1 1 vm files", "3 2 1 1 fs")
	p, err := NewPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint32]uint64{2: unix.CLONE_VM | unix.CLONE_SIGHAND | unix.CLONE_FILES, 3: unix.CLONE_FS}
	for _, step := range p.Steps {
		if step.Kind == Fork && step.Share != want[step.PID] {
			t.Errorf("process %d is forked with %#x, want %#x", step.PID, step.Share, want[step.PID])
		}
	}
}

// TestPlanSiblings: what siblings share, one gets from the other.
func TestPlanSiblings(t *testing.T) {
	s := tree("1 0 1 1", "4 1 1 1", "5 1 1 1", "6 1 1 1")
	s.Process(5).Mm, s.Process(5).Sighand = s.Process(4).Mm, s.Process(4).Sighand
	s.Process(6).Tasks[0].Files = s.Process(5).Tasks[0].Files
	p, err := NewPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{
		{Kind: Setsid, PID: 1}, {Kind: Fork, PID: 4, By: 1},
		{Kind: Fork, PID: 5, By: 4, Sibling: true, Share: unix.CLONE_VM | unix.CLONE_SIGHAND},
		{Kind: Fork, PID: 6, By: 5, Sibling: true, Share: unix.CLONE_FILES},
	}
	if !slices.Equal(p.Steps, want) {
		t.Errorf("steps %+v, want %+v", p.Steps, want)
	}
}

func TestPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *format.Skeleton)
		want   string
	}{
		"another architecture": {func(s *format.Skeleton) { s.Header.Architecture = "riscv64" }, "restart it on a host of its own kind"},
		"no first process":     {func(s *format.Skeleton) { s.Container.RootPid = 99 }, "no process 99"},
		"an exit signal of its own": {func(s *format.Skeleton) {
			s.Process(5).Session, s.Process(5).Group, s.Process(5).ExitSignal = 4, 4, 10
			s.Processes = append(s.Processes[:2:2], vectors.Process(5, 1, "p5", 1))
			s.Process(5).Session, s.Process(5).Group, s.Process(5).ExitSignal = 3, 3, 10
		}, "by signal 10"},
		"a signal at an end that was": {func(s *format.Skeleton) {
			s.Process(4).Tasks[0].Ended = true
			s.Process(5).Parent, s.Process(5).Tasks[0].ParentDeathSignal = 4, 9
		}, "is to get signal 9 when its parent dies"},
		"memory of cousins": {func(s *format.Skeleton) {
			s.Processes = append(s.Processes, vectors.Process(6, 4, "p6", 1))
			s.Process(6).Session, s.Process(6).Group, s.Process(6).Mm = 4, 4, s.Process(5).Mm
		}, "share their memory though neither made the other"},
		"session of nobody": {func(s *format.Skeleton) {
			s.Process(5).Session, s.Process(5).Group = 4, 4
			s.Process(4).Session, s.Process(4).Group = 1, 1
		}, "no process of the container can give it that"},
		"no room": {func(s *format.Skeleton) {
			s.Mms = []*format.Mm{{Id: 1, Vmas: []*format.Vma{{Start: 0x10000, End: 1 << 40}}}}
		}, "leave no common hole"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tree("1 0 1 1", "4 1 4 4", "5 1 5 5")
			c.change(s)
			if _, err := NewPlan(s); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// FuzzPlan: whatever tree passes the image's own check, a plan of it can be
// followed and gives that tree, or is refused with a reason.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{1, 1, 1, 2, 1, 2, 3, 2, 3})
	f.Add([]byte{1, 4, 4, 1, 4, 4, 2, 1, 1, 3, 6, 6})
	f.Add([]byte{1, 0x82, 2, 1, 3, 3, 2, 3, 0x83})
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := []string{"1 0 1 1"}
		for n := uint32(2); len(b) >= 3 && n < 40; n, b = n+1, b[3:] {
			zombie := ""
			if b[2]&0x80 != 0 {
				zombie = "z"
			}
			lines = append(lines, fmt.Sprintf("%d %d %d %d %s", n, uint32(b[0])%(n-1)+1, b[1]&63, b[2]&63, zombie))
		}
		s := tree(lines...)
		if s.Check() != nil {
			return
		}
		p, err := NewPlan(s)
		if err != nil {
			if err.Error() == "" {
				t.Error("refused without a reason")
			}
			return
		}
		w, err := follow(p)
		if err == nil {
			err = w.compare(s)
		}
		if err != nil {
			t.Errorf("%v\n%s\nsteps %+v\ngroups %+v\nhelpers %+v", err, strings.Join(lines, "\n"), p.Steps, p.Groups, p.Helpers)
		}
	})
}
