package memory

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestShare goes through histories of a page: who shares it, and by which fork
// they come by it.
func TestShare(t *testing.T) {
	// 0 forks 1, 2 and 5; 2 forks 3; 3 forks 4.
	nodes := []node{{parent: -1}, {parent: 0, depth: 1}, {parent: 0, depth: 1}, {parent: 2, depth: 2}, {parent: 3, depth: 3}, {parent: 0, depth: 1}}
	for name, c := range map[string]struct {
		pages  []int // by node: which one, 0 none
		want   []group
		banned int
	}{
		"nobody":                          {pages: []int{1, 2, 3, 4, 5, 6}},
		"all":                             {pages: []int{1, 1, 1, 1, 1, 1}, want: []group{{[]int{0, 1, 2, 3, 4, 5}, 1}}},
		"parent and last child":           {pages: []int{1, 0, 2, 0, 0, 1}, want: []group{{[]int{0, 5}, 5}}},
		"children alone":                  {pages: []int{2, 1, 1, 3, 4, 5}, want: []group{{[]int{1, 2}, 1}}},
		"cousins":                         {pages: []int{0, 1, 0, 0, 1, 0}, want: []group{{[]int{1, 4}, 1}}},
		"below":                           {pages: []int{1, 2, 3, 4, 4, 5}, want: []group{{[]int{3, 4}, 4}}},
		"a version, then another":         {pages: []int{2, 1, 1, 0, 0, 2}, want: []group{{[]int{0, 5}, 5}, {[]int{1, 2}, 1}}},
		"the same above, another below":   {pages: []int{1, 1, 2, 2, 2, 1}, want: []group{{[]int{0, 1, 5}, 1}, {[]int{2, 3, 4}, 3}}},
		"a version that would come back":  {pages: []int{0, 1, 2, 2, 0, 1}, want: []group{{[]int{1, 5}, 1}, {[]int{2, 3}, 3}}},
		"two that cross one fork":         {pages: []int{1, 2, 1, 2, 0, 0}, want: []group{{[]int{0, 2}, 2}}},
		"a fork that a restart can't use": {pages: []int{1, 1, 0, 0, 0, 0}, banned: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := family{nodes: nodes, banned: map[int]bool{c.banned: true}}
			have := f.share(members(c.pages))
			if !slices.EqualFunc(have, c.want, func(a, b group) bool { return a.edge == b.edge && slices.Equal(a.members, b.members) }) {
				t.Errorf("%v instead of %v", have, c.want)
			}
		})
	}
}

func members(pages []int) []member {
	var all []member
	for n, p := range pages {
		if p == 0 {
			continue
		}
		same := len(all)
		for i, m := range all {
			if pages[m.node] == p {
				same = i
				break
			}
		}
		all = append(all, member{n, same})
	}
	return all
}

// TestShareFollows does with a page what a restart would, for random trees and
// histories: everyone who shares must get the right one.
func TestShareFollows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shared := 0
	for range 20000 {
		nodes := []node{{parent: -1}}
		for n := 1; n < 2+r.IntN(8); n++ {
			p := r.IntN(n)
			nodes = append(nodes, node{parent: p, depth: nodes[p].depth + 1})
		}
		pages := make([]int, len(nodes))
		for n := range pages {
			pages[n] = r.IntN(4)
		}
		f := family{nodes: nodes}
		groups := f.share(members(pages))
		has := make([]int, len(nodes)) // number of a group, from 1
		for n := 1; n < len(nodes); n++ {
			for i, g := range groups {
				if g.edge == n {
					has[nodes[n].parent] = i + 1
				}
			}
			has[n] = has[nodes[n].parent]
		}
		for i, g := range groups {
			if len(g.members) < 2 {
				t.Fatalf("%v: one alone shares: %v", pages, groups)
			}
			for _, n := range g.members {
				shared++
				if has[n] != i+1 || pages[n] != pages[g.members[0]] {
					t.Fatalf("%v of %v: %d does not get its page: %v", pages, nodes, n, groups)
				}
			}
		}
	}
	if shared < 10000 {
		t.Errorf("only %d share", shared)
	}
}
