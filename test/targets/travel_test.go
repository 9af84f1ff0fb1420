package targets

import (
	"os"
	"path/filepath"
	"testing"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// travellers are targets that depend on nothing but their program and their
// directory, and on much of the kernel.
var travellers = []string{
	"fd_epoll", "fd_pipe", "mem_code", "mem_file_private", "mem_fork_cow", "mem_shared_fork", "mem_stack", "mem_vdso",
	"mem_vdso_clocks", "proc_deep", "proc_groups", "proc_orphan", "registers_bases", "registers_general",
	"registers_vector", "registers_x87", "signal_altstack", "signal_handler", "signal_pending", "sleep_futex",
	"sleep_poll", "sleep_time", "thread_ids", "thread_many", "thread_robust",
}

// TestTravel: an image that was made on one kernel restarts on another. It has
// two halves, of which test/matrix runs each on its kernel: in a directory that
// is empty, the targets are started and checkpointed; in one that has what the
// first half has left, they are restarted.
func TestTravel(t *testing.T) {
	dir := os.Getenv("LXC_CHECKPOINT_TRAVEL")
	if dir == "" {
		t.Skip("it needs two kernels: make matrix runs it")
	}
	need.Check(t, need.Root, need.Freezer)
	for i, name := range travellers {
		t.Run(name, func(t *testing.T) {
			here := filepath.Join(dir, name)
			file := filepath.Join(here, "statefile")
			if _, err := os.Stat(file); err == nil {
				arrive(t, name, here, file, i)
				return
			}
			if err := os.MkdirAll(here, 0o777); err != nil {
				t.Fatal(err)
			}
			r := startIn(t, here, name, "c/"+name+".c", programOf(t, "c/"+name+".c"), i)
			harness.Silent(t, "lxc-checkpoint", "--cgroup="+r.tree.Cgroup.Dir, "-S", file, "-k")
		})
	}
}

func arrive(t *testing.T, name, dir, file string, number int) {
	r := &run{t: t, name: name, dir: dir, next: number, tree: &harness.Tree{Dir: dir}}
	t.Cleanup(func() {
		if err := harness.Remove(nil, r.cgroups...); err != nil {
			t.Error(err)
		}
	})
	r.tree.Move(r.cgroup())
	harness.Must(t, harness.Tool(t, "lxc-restart"), "--native", "--cgroup="+r.tree.Cgroup.Dir, "-n", name, "-S", file)
	r.judge()
}
