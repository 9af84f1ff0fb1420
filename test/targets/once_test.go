package targets

import (
	"fmt"
	"testing"
	"time"

	"lxc-checkpoint/test/harness"
)

// TestOnce is TestKill and TestLive in as few commands as show how a kernel is
// with a target, for emulated CPUs, where a command takes seconds: -k and a
// restart, for every second target by eBPF, where the kernel has it, for the
// others without it. Every third is checkpointed before, while it goes on, in
// the other of these ways. A target that fails by itself, as TestAlone would
// show, fails here too.
func TestOnce(t *testing.T) {
	if !harness.Slow() {
		t.Skip("TestKill and TestLive do more: make matrix runs it")
	}
	eachSource(t, "c", func(t *testing.T, name, source, program string, number int) {
		r := start(t, name, source, program, number)
		processes := len(r.tree.Cgroup.Processes())
		if number%3 == 0 {
			r.checkpoint(r.statefile("live"), number)
		}
		file := r.statefile("killed")
		r.checkpoint(file, number+1, "-k")
		if err := r.tree.Pids(0, 5*time.Second); err != nil {
			t.Fatalf("killed, but: %v", err)
		}
		r.verify(file)
		r.tree.Move(r.cgroup())
		harness.Silent(t, "lxc-restart", "--native", "--cgroup="+r.tree.Cgroup.Dir, "-n", r.name, "-S", file)
		if now := len(r.tree.Cgroup.Processes()); now != processes {
			t.Errorf("%d processes were restarted, %d were checkpointed", now, processes)
		}
		r.judge()
	})
}

// timeout is the option that says how long a checkpoint may wait for a container
// to stop.
func timeout(d time.Duration) string {
	return fmt.Sprintf("--timeout=%.0f", harness.Patience(d).Seconds())
}

// checkpoint makes one, every second time without eBPF: then the tasks are made
// to tell what eBPF told.
func (r *run) checkpoint(file string, turn int, options ...string) {
	r.t.Helper()
	if turn%2 == 1 && !byBPFOnly(r.source) {
		options = append(options, "--no-bpf")
	}
	options = append(options, "--cgroup="+r.tree.Cgroup.Dir, "-S", file, timeout(10*time.Second))
	harness.Silent(r.t, "lxc-checkpoint", options...)
}
