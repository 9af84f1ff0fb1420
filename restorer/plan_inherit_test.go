package restorer

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lxc-checkpoint/image/format"
)

// inheriting is a tree in which processes share pages: each list names the
// processes that have them.
func inheriting(lists ...[]uint32) *format.Skeleton {
	s := tree("1 0 1 1", "2 1 1 1", "3 2 1 1", "4 1 1 1")
	const page = 4096
	for _, mm := range s.Mms {
		mm.Vmas = []*format.Vma{{Start: 0x10000, End: 0x20000, Prot: 3, Kind: format.VmaKind_VMA_ANONYMOUS}}
	}
	for i, list := range lists {
		r := format.NewRuns(page)
		r.Add(0x10000+uint64(i)*page, page)
		pages := &format.Inherited{Id: 100 + uint32(i), Runs: r.Bytes()}
		s.Inherited = append(s.Inherited, pages)
		s.Layout.Contents = append(s.Layout.Contents, &format.Content{Owner: pages.Id})
		for _, pid := range list {
			mm := s.Mm(s.Process(pid).Mm)
			mm.Inherits = append(mm.Inherits, &format.Inheritance{Inherited: pages.Id, Runs: pages.Runs})
		}
	}
	return s
}

func TestPlanInherit(t *testing.T) {
	for name, c := range map[string]struct {
		lists [][]uint32
		by    []uint32 // who gets each list
		fork  []uint32 // and before whose fork
	}{
		"all":                       {[][]uint32{{1, 2, 3, 4}}, []uint32{1}, []uint32{2}},
		"siblings":                  {[][]uint32{{2, 4}}, []uint32{1}, []uint32{2}},
		"a child and its child":     {[][]uint32{{2, 3}}, []uint32{2}, []uint32{3}},
		"the last":                  {[][]uint32{{1, 4}}, []uint32{1}, []uint32{4}},
		"in the order of the forks": {[][]uint32{{3, 4}, {2, 3}, {1, 4}}, []uint32{1, 2, 1}, []uint32{2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			s := inheriting(c.lists...)
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			p, err := NewPlan(s)
			if err != nil {
				t.Fatal(err)
			}
			var by, fork []uint32
			for _, pour := range p.Pours {
				by, fork = append(by, pour.By), append(fork, p.Steps[pour.Step].PID)
			}
			if !slices.Equal(by, c.by) || !slices.Equal(fork, c.fork) {
				t.Errorf("poured into %v before the forks of %v; want %v, %v", by, fork, c.by, c.fork)
			}
		})
	}
}

func TestPlanInheritRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		lists  [][]uint32
		change func(s *format.Skeleton)
		want   string
	}{
		"one alone":                  {[][]uint32{{2}}, nil, "fewer than two"},
		"against the order of forks": {[][]uint32{{1, 4}, {3, 4}}, nil, "too late"},
		"another kind of mapping": {[][]uint32{{1, 2}}, func(s *format.Skeleton) {
			s.Mm(s.Process(2).Mm).Vmas[0].NoReserve = true
		}, "different files"},
		"other pages by then": {[][]uint32{{3, 4}, {2, 4}}, func(s *format.Skeleton) {
			// Both are to lie at the same address, and 4 is to have the first ones.
			s.Inherited[1].Runs = s.Inherited[0].Runs
			for _, mm := range s.Mms {
				for _, i := range mm.Inherits {
					i.Runs = s.Inherited[0].Runs
				}
			}
			four := s.Mm(s.Process(4).Mm)
			four.Inherits = four.Inherits[:1]
			s.Mm(s.Process(1).Mm).Inherits = []*format.Inheritance{{Inherited: 101, Runs: s.Inherited[1].Runs}}
		}, "other pages"},
	} {
		t.Run(name, func(t *testing.T) {
			s := inheriting(c.lists...)
			if c.change != nil {
				c.change(s)
			}
			_, err := NewPlan(s)
			var cannot *format.InheritError
			if !errors.As(err, &cannot) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, have %v", c.want, err)
			}
		})
	}
}
