package faults

import (
	"os"
	"testing"

	"lxc-checkpoint/test/harness"
)

// TestFamily: twenty processes that were forked from one share its memory. The
// statefile has it once, they share it after a restart (which the program itself
// measures), and the commands stay small. A live checkpoint before changes
// nothing of that.
func TestFamily(t *testing.T) {
	mebibytes := harness.Rounds(64, 500)
	b := newBox(t, someHierarchy(t), "family", mebibytes)
	file := b.statefile()
	b.checkpoint("-S", file)
	small := func(when string) {
		t.Helper()
		s, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		// The changed pages are less than one in a hundred.
		if most := int64(mebibytes) << 20 * 110 / 100; s.Size() > most {
			t.Errorf("%s: the statefile has %d MiB for %d MiB of memory that is shared", when, s.Size()>>20, mebibytes)
		}
	}
	small("while it goes on")
	dumped := measured(t, "lxc-checkpoint", b.args("-S", file, "-k")...)
	if err := b.tree.Pids(0, 0); err != nil {
		t.Fatal(err)
	}
	b.verify("after the checkpoint", file)
	small("when it is killed")
	restarted := measured(t, "lxc-restart", "--native", "--cgroup="+b.cgroup.Dir, "-n", "faults", "-S", file)
	b.pids = b.now()
	b.judge()
	dumped.judge(t, "lxc-checkpoint")
	restarted.judge(t, "lxc-restart")
}

// TestFamilyPipe: the same through a pipe, which cannot be read twice.
func TestFamilyPipe(t *testing.T) {
	b := newBox(t, someHierarchy(t), "family", 16)
	const script = `"$0" --cgroup="$2" -d 1 -k | "$1" --native --cgroup="$2" -n faults -d 0`
	measuredProgram(t, "/bin/sh", "-c", script, harness.Tool(t, "lxc-checkpoint"), harness.Tool(t, "lxc-restart"), b.cgroup.Dir)
	b.pids = b.now()
	b.judge()
}
