package targets

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestSwappedOut: pages that are swapped out are in the statefile, of every kind
// of memory; a checkpoint of a container that goes on leaves them as they were
// to it.
func TestSwappedOut(t *testing.T) {
	need.Check(t, need.Root, need.Freezer)
	swapOn(t)
	program := programOf(t, "c/swapped/pages.c")
	for _, live := range []bool{false, true} {
		t.Run(map[bool]string{false: "kill", true: "live"}[live], func(t *testing.T) {
			r := start(t, "pages", "c/swapped/pages.c", program, 0)
			for round := range 2 {
				file := r.statefile(fmt.Sprint(round))
				args := []string{"--cgroup=" + r.tree.Cgroup.Dir, "-S", file}
				if live {
					harness.Silent(t, "lxc-checkpoint", args...)
					continue
				}
				harness.Silent(t, "lxc-checkpoint", append(args, "-k")...)
				r.tree.Move(r.cgroup())
				harness.Silent(t, "lxc-restart", "--native", "--cgroup="+r.tree.Cgroup.Dir, "-n", r.name, "-S", file)
			}
			r.judge()
		})
	}
}

// swapOn gives the machine a little swap until the test ends, unless it has some.
func swapOn(t *testing.T) {
	t.Helper()
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	if info.Totalswap > 0 {
		return
	}
	file := filepath.Join(t.TempDir(), "swap")
	if err := os.WriteFile(file, make([]byte, 32<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	mkswap, err := exec.LookPath("mkswap")
	if err != nil {
		t.Skip("it needs swap, and there is no program mkswap: apt install util-linux")
	}
	if out, err := exec.Command(mkswap, file).CombinedOutput(); err != nil {
		t.Fatalf("mkswap: %v\n%s", err, out)
	}
	if out, err := exec.Command("swapon", file).CombinedOutput(); err != nil {
		t.Skipf("it needs swap, and the kernel takes no file of %s for it: %v: %s", filepath.Dir(file), err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("swapoff", file).CombinedOutput(); err != nil {
			t.Errorf("swapoff: %v\n%s", err, out)
		}
	})
}
