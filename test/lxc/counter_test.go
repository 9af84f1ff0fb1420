package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// counter is a file in the container's root that a program writes numbers
// into, a line each: 1, 2, 3 …
type counter struct {
	b    *box
	file string // from the root
	mark int    // where it stood at the last look
}

// look returns the last number, and fails unless every number from 1 on is
// there once.
func (c *counter) look() int {
	c.b.t.Helper()
	n, err := c.read()
	if err != nil {
		c.b.t.Fatal(err)
	}
	return n
}

func (c *counter) read() (int, error) {
	text, err := os.ReadFile(filepath.Join(c.b.rootfs, c.file))
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		next, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || next != n+1 {
			return 0, fmt.Errorf("counter %s: after %d comes %q", c.file, n, strings.TrimSpace(line))
		}
		n = next
	}
	return n, nil
}

// goesOn waits until it has counted further than at the last look.
func (c *counter) goesOn() {
	c.b.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		n, err := c.read()
		if err == nil && n > c.mark+1 {
			c.mark = n
			return
		}
		if err != nil && !os.IsNotExist(err) {
			c.b.t.Fatal(err)
		}
		if time.Now().After(end) {
			c.b.t.Fatalf("counter %s does not go on: it stands at %d (%v)", c.file, n, err)
		}
	}
}

// stands checks that it does not count.
func (c *counter) stands() {
	c.b.t.Helper()
	c.mark = c.look()
	time.Sleep(150 * time.Millisecond)
	if n := c.look(); n != c.mark {
		c.b.t.Fatalf("counter %s runs: %d, then %d", c.file, c.mark, n)
	}
}
