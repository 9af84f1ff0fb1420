package faults

import (
	"testing"
	"time"

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
				hierarchy = someHierarchy(t) // the other one
			}
			b := newBox(t, hierarchy, c.program, c.mebibytes)
			file := b.statefile()
			dumped := measured(t, "lxc-checkpoint", b.args("-S", file, "-k")...)
			if err := b.tree.Pids(0, 0); err != nil {
				t.Fatal(err)
			}
			b.verify("after the checkpoint", file)
			restarted := measured(t, "lxc-restart", "--native", "--cgroup="+b.cgroup.Dir, "-n", "faults", "-S", file)
			b.pids = b.now()
			b.judge()
			dumped.judge(t, "lxc-checkpoint")
			restarted.judge(t, "lxc-restart")
		})
	}
}

func (m measure) judge(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s: %v, %d MiB of memory at most", what, m.took.Round(time.Millisecond), m.memory>>20)
	if m.memory >= mostMemory {
		t.Errorf("%s took %d MiB of memory", what, m.memory>>20)
	}
}

// TestPipe: a large container goes from one command to the other through a
// pipe. The restart keeps what it reads until the old container is gone.
func TestPipe(t *testing.T) {
	b := newBox(t, someHierarchy(t), "ring", harness.Rounds(128, 4096))
	const script = `"$0" --cgroup="$2" -d 1 -k | "$1" --native --cgroup="$2" -n faults -d 0`
	m := measuredProgram(t, "/bin/sh", "-c", script, harness.Tool(t, "lxc-checkpoint"), harness.Tool(t, "lxc-restart"), b.cgroup.Dir)
	b.pids = b.now()
	b.goesOn("after the restart")
	b.judge()
	m.judge(t, "lxc-checkpoint | lxc-restart")
}
