package targets

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// counts is how the targets fared.
type counts struct {
	sync.Mutex
	passed, failed map[string]int      // by kind of test
	skipped        map[string][]string // by target: the kinds
}

var tally = &counts{passed: map[string]int{}, failed: map[string]int{}, skipped: map[string][]string{}}

func (c *counts) add(t *testing.T, kind, target string) {
	c.Lock()
	defer c.Unlock()
	switch {
	case t.Failed():
		c.failed[kind]++
	case t.Skipped():
		c.skipped[target] = append(c.skipped[target], kind)
	default:
		c.passed[kind]++
	}
}

// print says it in one line, which test/tell shows.
func (c *counts) print() {
	var words []string
	for _, k := range []struct{ kind, what string }{
		{"Kill", "killed and restarted twice"}, {"Live", "checkpointed live ten times"},
		{"Container", "the same in containers of LXC"}, {"Refused", "refused by name"},
	} {
		n := c.passed[k.kind] + c.failed[k.kind]
		words = append(words, fmt.Sprintf("%d of %d %s", c.passed[k.kind], n, k.what))
	}
	if len(c.skipped) > 0 {
		names := make([]string, 0, len(c.skipped))
		for name := range c.skipped {
			names = append(names, name)
		}
		slices.Sort(names)
		words = append(words, "skipped: "+strings.Join(names, " "))
	}
	fmt.Println("summary: targets:", strings.Join(words, "; "))
}
