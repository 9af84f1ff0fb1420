package restorer

import (
	"strings"
	"testing"

	"lxc-checkpoint/image/format"
)

// nested puts processes of a tree into a pid namespace, with their numbers there;
// their groups and sessions are known there if their leader is in it, too.
func nested(s *format.Skeleton, numbers map[uint32]uint32) *format.Skeleton {
	const first, inner = 900, 901
	s.Namespaces = append(s.Namespaces,
		&format.Namespace{Id: first, Kind: format.NamespaceKind_PID, Own: true}, &format.Namespace{Id: inner, Kind: format.NamespaceKind_PID, Own: true})
	for _, p := range s.Processes {
		p.Namespaces = []uint32{first}
		if n, ok := numbers[p.Pid]; ok {
			p.Namespaces = []uint32{inner}
			p.Tasks[0].InnerTids, p.InnerGroup, p.InnerSession = []uint32{n}, []uint32{numbers[p.Group]}, []uint32{numbers[p.Session]}
		}
	}
	return s
}

// TestPlanOuterGroups: those in a pid namespace have no word for a group from
// outside, so they are born into it. There can be one.
func TestPlanOuterGroups(t *testing.T) {
	s := nested(tree("1 0 1 1", "2 1 1 2", "3 2 1 2", "4 3 1 2", "5 3 1 5"), map[uint32]uint32{3: 1, 4: 2, 5: 3})
	p, err := NewPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	var led, born bool
	for _, step := range p.Steps {
		led = led || step.Kind == Lead && step.PID == 2
		born = born || led && step.PID == 3 && step.Group == 2 && step.Between != 0
	}
	if !born {
		t.Errorf("process 3 is not born into group 2, which 2 leads before: %+v", p.Steps)
	}
	for _, j := range p.Groups {
		if j.PID == 3 || j.PID == 4 {
			t.Errorf("process %d is to join group %d, which it can't name", j.PID, j.Group)
		}
	}
	if n, err := p.Pids.as(5, 4); n != 3 || err != nil {
		t.Errorf("process 4 calls 5 %d, %v", n, err)
	}
	if n, err := p.Pids.as(2, 4); err == nil {
		t.Errorf("process 4 calls 2 %d", n)
	}
	// 3 is born into the group of 2, 5 stayed in that of 1.
	two := nested(tree("1 0 1 1", "2 1 1 2", "3 2 1 2", "4 3 1 1"), map[uint32]uint32{3: 1, 4: 2})
	if _, err := NewPlan(two); err == nil || !strings.Contains(err.Error(), "from outside of it") {
		t.Errorf("two groups from outside: %v", err)
	}
}
