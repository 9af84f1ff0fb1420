package uring

import (
	"errors"
	"strings"
	"testing"

	"lxc-checkpoint/image/format"
)

// TestSteps: counters that a restart would take too long to reach, or that are
// lower than what it needs for its own, are refused by name.
func TestSteps(t *testing.T) {
	for want, u := range map[string]*format.IoUring{
		"":                     {SqHead: 1 << 30, CqTail: 5},
		"a restart can only":   {SqHead: 5, CqTail: 1<<30 + 1},
		"asked for less":       {SqHead: 1, Requests: make([]*format.IoUringRequest, 2)},
		"asked for less (3 re": {SqHead: 3, BufferRings: []*format.IoUringBufferRing{{Entries: 8, Head: 1000}}},
	} {
		err := (&ring{out: u}).checkSteps()
		var o *Obstacle
		switch {
		case want == "" && err != nil:
			t.Errorf("%v: %v", u, err)
		case want != "" && (!errors.As(err, &o) || !strings.Contains(o.Reason, want) || o.Remedy == ""):
			t.Errorf("%q: %v", want, err)
		}
	}
}
