package targets

import (
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestSignalled: signals that come while the container stands still do what
// they would have done.
func TestSignalled(t *testing.T) {
	need.Check(t, need.Root, need.Freezer)
	if runtime.GOARCH == "arm64" {
		t.Skip("on arm64 the kernel does not tell how it would restart an interrupted call")
	}
	program := programOf(t, "c/signalled/pause.c")
	for i := range need.Freezers() {
		r := start(t, "pause", "c/signalled/pause.c", program, i)
		if err := r.tree.Cgroup.Freeze(true); err != nil {
			t.Fatal(err)
		}
		pids := r.tree.Cgroup.Processes()
		slices.Sort(pids)
		for _, pid := range pids[2:] {
			if err := unix.Kill(pid, unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
		}
		file := r.statefile("signalled")
		harness.Silent(t, "lxc-checkpoint", "--cgroup="+r.tree.Cgroup.Dir, "-S", file, "-k")
		r.tree.Move(r.cgroup())
		harness.Silent(t, "lxc-restart", "--native", "--cgroup="+r.tree.Cgroup.Dir, "-n", r.name, "-S", file)
		r.judge()
	}
}
