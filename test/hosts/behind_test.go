package hosts

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// many are the targets (test/targets) that run in the container which restarts
// fail for: among what they hold is all that a restart has to make in places that
// outlive it.
var many = []string{
	"bpf_cgroup", "fd_bpf_map", "fd_deleted", "fd_deleted_directory", "fd_fifo", "fd_inotify", "fd_nameless", "fd_pty", "fd_tcp_connected", "fd_unix",
	"ipc_semaphore_undo", "ipc_unattached", "ipc_memory_removed", "lock_flock", "lock_lease", "mem_cow_tree", "mem_memfd",
	"proc_orphan", "proc_zombie", "signal_stopped", "sleep_poll", "world_cgroup", "world_tmpfs",
}

// container is one that can be made to come back, or not.
type container struct {
	h        *host
	programs string   // directory of the targets' programs
	dir      string   // its root, as the host calls it, where the targets are
	targets  []string // those that run
	dump     []string // arguments of lxc-checkpoint
	restore  []string // of lxc-restart
	stopped  func() bool
}

// TestNothingIsLeft makes each step of a restart fail once, under LXC and without
// it, and some of the calls that it has processes make: after each, the host is
// what it was before, and one line says what went wrong. Then the same statefile
// is restarted.
func TestNothingIsLeft(t *testing.T) {
	bin, programs := tripping(t), t.TempDir()
	for _, name := range many {
		harness.Must(t, "gcc", "-std=gnu17", "-static", "-pthread", "-o", filepath.Join(programs, name), filepath.Join(harness.Root(), "test/targets/c", name+".c"))
	}
	for name, start := range map[string]func(h *host, programs string) *container{"LXC": startLXC, "native": startNative} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "fails", bin)
			c := start(h, programs)
			h.must(h.tool("lxc-checkpoint"), append(c.dump, "-S", "/tmp/state", "-k")...)
			harness.Until(t, "the end of the container", 10*time.Second, c.stopped)
			steps, calls := c.rehearse()
			before := h.settled()
			for _, step := range steps {
				c.fails("LXC_RESTART_TRIP_STEP="+step, before)
			}
			for range harness.Rounds(3, 300) {
				c.fails(fmt.Sprintf("LXC_RESTART_TRIP_CALL=%d", 1+rand.IntN(calls)), before)
			}
			h.must(h.tool("lxc-restart"), c.restore...)
			c.judge()
			t.Logf("%d steps and %d calls", len(steps), calls)
		})
	}
}

// tripping makes our commands so that a restart fails when the environment says so.
func tripping(t *testing.T) string {
	t.Helper()
	need.Check(t, need.Root, need.CC, need.LibC)
	dir, err := os.MkdirTemp("/var/tmp", "lxc-checkpoint-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, command := range []string{"lxc-checkpoint", "lxc-restart"} {
		harness.Must(t, "go", "build", "-tags", "trip", "-o", filepath.Join(dir, command), "lxc-checkpoint/cmd/"+command)
	}
	return dir
}

// rehearse restarts the container to learn which steps and how many calls there
// are, and kills it again.
func (c *container) rehearse() (steps []string, calls int) {
	h, list := c.h, "/tmp/list"
	h.t.Helper()
	r := h.with(func(e *exec.Cmd) { e.Env = append(os.Environ(), "LXC_RESTART_TRIP_LIST="+list) }, h.tool("lxc-restart"), c.restore...)
	if r.Code != 0 {
		h.t.Fatal(r)
	}
	for line := range strings.Lines(read(h.t, h.Path(list))) {
		if line == "\n" {
			calls++
		} else {
			steps = append(steps, strings.TrimSpace(line))
		}
	}
	if len(steps) < 15 || calls < 100 {
		h.t.Fatalf("a restart of %d steps and %d calls? %v", len(steps), calls, steps)
	}
	h.must("rm", list)
	h.must(h.tool("lxc-checkpoint"), append(c.dump, "-S", "/tmp/state", "-k")...)
	harness.Until(h.t, "the end of the container", 10*time.Second, c.stopped)
	return steps, calls
}

// fails restarts the container so that it fails.
func (c *container) fails(how string, before snapshot) {
	h := c.h
	h.t.Helper()
	r := h.with(func(e *exec.Cmd) { e.Env = append(os.Environ(), how) }, h.tool("lxc-restart"), c.restore...)
	if r.Code == 0 && strings.HasPrefix(how, "LXC_RESTART_TRIP_CALL") {
		h.t.Logf("%s: it was not reached this time", how)
		h.must(h.tool("lxc-checkpoint"), append(c.dump, "-S", "/tmp/state", "-k")...)
		harness.Until(h.t, "the end of the container", 10*time.Second, c.stopped)
		return
	}
	if r.Code != 1 || r.Stdout != "" || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, "tripped") {
		h.t.Errorf("%s: it should fail with one line: %v", how, r)
	}
	h.unchanged(before, how)
	if h.t.Failed() {
		h.t.FailNow()
	}
}

// judge asks the targets how they find their world.
func (c *container) judge() {
	c.h.t.Helper()
	for _, name := range c.targets {
		write(c.h, filepath.Join(c.dir, "targets", name, "go"), "")
	}
	for _, name := range c.targets {
		result, err := harness.AwaitFile(c.h.Path(filepath.Join(c.dir, "targets", name, "result")), time.Minute, func() bool { return true })
		if err != nil || result != "pass" {
			c.h.t.Errorf("target %s: %q, %v", name, result, err)
		}
	}
}

// fill puts the targets into a container's root, and a program that starts them
// all.
func (c *container) fill() {
	t := c.h.t
	t.Helper()
	dir := c.h.Path(filepath.Join(c.dir, "targets"))
	for _, name := range c.names() {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		harness.Must(t, "cp", filepath.Join(c.programs, name), filepath.Join(dir, name, "program"))
	}
	script := `#!/bin/sh
cd /targets
for target in *; do
	[ ! -d $target ] || (cd $target; exec ./program </dev/null >log 2>&1) &
done
while :; do wait; sleep 1000; done
`
	script = strings.Replace(script, "/targets", filepath.Join(c.root(), "targets"), 1)
	if err := os.WriteFile(filepath.Join(dir, "start"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// root is the root of the container, as it calls that itself.
func (c *container) root() string {
	if slices.Contains(c.restore, "--native") {
		return c.dir
	}
	return "/"
}

// names are the targets that can run in it. One without LXC has the host's IPC
// here: what is attached there is refused, and what its end gives back to
// semaphores, it gives to the host's.
func (c *container) names() []string {
	if c.root() == "/" {
		return many
	}
	return slices.DeleteFunc(slices.Clone(many), func(name string) bool { return name == "ipc_semaphore_undo" || name == "ipc_memory_removed" })
}

// settle waits until the targets are ready, and forgets those that say that this
// machine lacks what they are about.
func (c *container) settle() {
	t := c.h.t
	t.Helper()
	for _, name := range c.names() {
		dir := c.h.Path(filepath.Join(c.dir, "targets", name))
		if _, err := harness.AwaitFile(filepath.Join(dir, "ready"), 20*time.Second, func() bool {
			_, err := os.Stat(filepath.Join(dir, "result"))
			return err != nil
		}); err == nil {
			c.targets = append(c.targets, name)
			continue
		}
		result, _ := os.ReadFile(filepath.Join(dir, "result"))
		if !strings.HasPrefix(string(result), "skip: ") {
			t.Fatalf("before the checkpoint, target %s: %q", name, result)
		}
		t.Logf("without target %s: %s", name, result)
	}
}

// startLXC starts the targets in a container of LXC, with a network.
func startLXC(h *host, programs string) *container {
	h.t.Helper()
	c := &container{h: h, programs: programs, dir: "/var/lib/lxc/c/rootfs", dump: []string{"-n", "c"}, restore: []string{"-n", "c", "-S", "/tmp/state"}}
	h.must("sh", "-ec", "ip link add lxcbr0 type bridge; ip addr add "+outside+" dev lxcbr0; ip link set lxcbr0 up")
	createMovable(h)
	c.fill()
	edit(h.t, h.Path("/var/lib/lxc/c/config"), "lxc.net.0.flags", "lxc.init.cmd = /targets/start\nlxc.net.0.flags")
	edit(h.t, h.Path("/var/lib/lxc/c/config"), "lxc.pty.max = 1\n", "lxc.pty.max = 1024\n")
	h.must("lxc-start", "-n", "c")
	c.settle()
	c.stopped = func() bool { return h.must("lxc-info", "-n", "c", "-sH") == "STOPPED" }
	return c
}

// startNative starts them in a cgroup, with some namespaces of their own.
func startNative(h *host, programs string) *container {
	h.t.Helper()
	cgroup := filepath.Join(freezer(), "app")
	c := &container{h: h, programs: programs, dir: "/var/lib/lxc/app", dump: []string{"--cgroup=" + cgroup}, restore: []string{"--native", "-n", "app", "--cgroup=" + cgroup, "-S", "/tmp/state"}}
	c.fill()
	h.must("mkdir", cgroup)
	start := h.Command("unshare", "--fork", "--pid", "--uts", "--mount", "--mount-proc", "--net", "setsid", "sh", "-c", "echo 0 >"+cgroup+"/cgroup.procs; ip link set lo up; exec "+c.dir+"/targets/start")
	if err := start.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() { _ = start.Wait() }()
	c.settle()
	c.stopped = func() bool {
		procs, err := os.ReadFile(h.Path(cgroup + "/cgroup.procs"))
		return err == nil && len(procs) == 0
	}
	return c
}

// freezer is a hierarchy that can freeze.
func freezer() string { return need.Freezers()[0] }
