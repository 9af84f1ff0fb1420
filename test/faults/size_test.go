package faults

import (
	"testing"

	"lxc-checkpoint/test/harness"
)

// mostMemory is what a command may take at its peak, in bytes, whatever the
// size of the container.
const mostMemory = 128 << 20

// TestSizes: containers as large as the project promises are checkpointed,
// killed, restarted, and find their world as it was.
func TestSizes(t *testing.T) {
	freezers := hierarchies(t)
	for _, c := range []struct {
		what, program string
		mebibytes     int
		freezer       string
	}{
		{"200 processes", "processes", 0, "v1"},
		{"1000 threads", "threads", 0, "v2"},
		{"20000 mappings", "mappings", 0, "v1"},
		{"5000 descriptors", "descriptors", 0, "v2"},
		{"memory", "ring", harness.Rounds(512, 4096), "v1"},
	} {
		t.Run(c.what, func(t *testing.T) {
			hierarchy, ok := freezers[c.freezer]
			if !ok {
				for _, hierarchy = range freezers { // this machine has another one
				}
			}
			b := newBox(t, hierarchy, c.program, c.mebibytes)
			file := b.statefile()
			dumped := b.checkpoint("-S", file, "-k")
			if err := b.tree.Pids(0, 0); err != nil {
				t.Fatal(err)
			}
			b.verify("after the checkpoint", file)
			restarted := b.restart(file)
			b.judge()
			for _, r := range []*harness.Result{dumped, restarted} {
				t.Logf("%s: %v, %d MiB of memory at most", r.Line[:14], r.Took, r.PeakMemory>>20)
				if r.PeakMemory >= mostMemory {
					t.Errorf("%s took %d MiB of memory", r.Line, r.PeakMemory>>20)
				}
			}
		})
	}
}
