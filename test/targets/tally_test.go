package targets

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// counts is how the targets fared.
type counts struct {
	sync.Mutex
	passed, failed map[string]int    // by kind of test
	skipped        map[string]string // by target: why
}

var tally = &counts{passed: map[string]int{}, failed: map[string]int{}, skipped: map[string]string{}}

// skip skips the test of a target for a reason that the tally names.
func (c *counts) skip(t *testing.T, target, why string) {
	t.Helper()
	c.Lock()
	c.skipped[target] = why
	c.Unlock()
	t.Skip(why)
}

func (c *counts) add(t *testing.T, kind, target string) {
	c.Lock()
	defer c.Unlock()
	switch {
	case t.Failed():
		c.failed[kind]++
	case !t.Skipped():
		c.passed[kind]++
	}
}

// print says it in one line, which test/tell shows.
func (c *counts) print() {
	var words []string
	for _, k := range []struct{ kind, what string }{
		{"Kill", "killed and restarted twice"}, {"Live", "checkpointed live ten times"},
		{"Container", "the same in containers of LXC"}, {"IDMapped", "the same with users of their own, natively and in containers of LXC"}, {"Refused", "refused by name"},
	} {
		n := c.passed[k.kind] + c.failed[k.kind]
		words = append(words, fmt.Sprintf("%d of %d %s", c.passed[k.kind], n, k.what))
	}
	skips := make([]string, 0, len(c.skipped))
	for name, why := range c.skipped {
		skips = append(skips, fmt.Sprintf("%s (%s)", name, why))
	}
	slices.Sort(skips)
	if len(skips) > 0 {
		words = append(words, fmt.Sprintf("%d skipped: %s", len(skips), strings.Join(skips, ", ")))
	}
	fmt.Printf("summary: targets: %d programs to be restarted, %d to be refused: %s\n", count("c"), count("c/refused"), strings.Join(words, "; "))
}

func count(dir string) int {
	sources, _ := filepath.Glob(filepath.Join(dir, "*.c"))
	return len(sources)
}
