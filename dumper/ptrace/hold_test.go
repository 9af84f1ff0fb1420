package ptrace_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/container"
	"lxc-checkpoint/dumper/ptrace"
	"lxc-checkpoint/freezer"
	"lxc-checkpoint/refusal"

	"golang.org/x/sys/unix"
)

var crowdPath string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "hold")
	if err != nil {
		panic(err)
	}
	crowdPath = filepath.Join(dir, "crowd")
	if b, err := exec.Command("gcc", "-O1", "-pthread", "-o", crowdPath, "testdata/crowd.c").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "gcc: %v\n%s", err, b)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// each runs a test with a new cgroup of every version that is mounted.
func each(t *testing.T, test func(t *testing.T, dir string)) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes cgroups")
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		version := ""
		switch {
		case f[2] == "cgroup" && strings.Contains(","+f[3]+",", ",freezer,"):
			version = "v1"
		case f[2] == "cgroup2":
			version = "v2"
		default:
			continue
		}
		found = true
		t.Run(version, func(t *testing.T) {
			dir := filepath.Join(f[1], fmt.Sprintf("lxc-checkpoint-hold-%d-%d", os.Getpid(), time.Now().UnixNano()))
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { empty(t, dir) })
			test(t, dir)
		})
	}
	if !found {
		t.Skip("no hierarchy of cgroups that can freeze is mounted")
	}
}

// empty kills what is in a cgroup and removes it.
func empty(t *testing.T, dir string) {
	for range 200 {
		if f, err := freezer.Open(dir); err == nil {
			f.Thaw(t.Context())
		}
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			return
		}
		for _, pid := range strings.Fields(string(b)) {
			var n int
			fmt.Sscan(pid, &n)
			unix.Kill(n, unix.SIGKILL)
		}
		if os.Remove(dir) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("cgroup %s is left", dir)
}

// crowd is a running crowd.c.
type crowd struct {
	*container.Container
	t        *testing.T
	counters []byte
	cmd      *exec.Cmd
}

func start(t *testing.T, dir string, words ...string) *crowd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "counters")
	if err := os.WriteFile(path, make([]byte, 65536), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &crowd{t: t}
	if c.counters, err = unix.Mmap(int(f.Fd()), 0, 65536, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-c", `echo $$ > "$0"/cgroup.procs && exec "$@"`, dir, crowdPath, path}, words...)
	c.cmd = exec.Command("sh", args...)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Nobody may wait for it while it is held: as its tracer's process, we would
	// be told of its stops there.
	t.Cleanup(func() { c.cmd.Process.Kill(); c.cmd.Process.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("crowd said %q, %v", line, err)
	}
	if c.Container, err = container.ByPID(t.Context(), c.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if c.CgroupDir != dir {
		t.Fatalf("cgroup is %s instead of %s", c.CgroupDir, dir)
	}
	return c
}

// still checks that nothing counts.
func (c *crowd) still() {
	c.t.Helper()
	before := bytes.Clone(c.counters)
	time.Sleep(30 * time.Millisecond)
	if !bytes.Equal(before, c.counters) {
		c.t.Error("something of the container runs")
	}
}

// runs checks that something counts.
func (c *crowd) runs() {
	c.t.Helper()
	before := bytes.Clone(c.counters)
	for range 100 {
		time.Sleep(10 * time.Millisecond)
		if !bytes.Equal(before, c.counters) {
			return
		}
	}
	c.t.Error("nothing of the container runs")
}

func (c *crowd) hold() *ptrace.Held {
	c.t.Helper()
	h, err := ptrace.Hold(c.t.Context(), c.Container, nil, 10*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	return h
}

func (c *crowd) state(want freezer.State) {
	c.t.Helper()
	if s, err := c.Freezer.State(); err != nil || s != want {
		c.t.Errorf("freezer: %v, %v; want %v", s, err, want)
	}
}

// traced returns how many tasks of the container have a tracer.
func (c *crowd) traced() (n int) {
	pids, _ := c.Processes()
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, path := range tasks {
			b, _ := os.ReadFile(path)
			if len(b) > 0 && !bytes.Contains(b, []byte("\nTracerPid:\t0\n")) {
				n++
			}
		}
	}
	return n
}

// callAll makes a system call in every task.
func callAll(t *testing.T, h *ptrace.Held) {
	t.Helper()
	err := h.Do(func() error {
		for _, p := range h.Processes() {
			for _, th := range p.Threads {
				r, err := th.Remote(t.Context())
				if err != nil {
					return err
				}
				tid, err := r.Call(unix.SYS_GETTID)
				if err == nil && int(tid) != th.TID() {
					err = fmt.Errorf("task %d says it is %d", th.TID(), tid)
				}
				if err := errors.Join(err, r.Close()); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestHoldCrowd(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		c := start(t, dir, "counter=3", "forker=4", "threader=4", "sleeper=40", "stopped=2", "zombie=3", "vforker=1")
		for i := range 30 {
			c.runs()
			begin := time.Now()
			h := c.hold()
			took := time.Since(begin)
			c.state(freezer.Thawed)
			c.still()
			zombies, stopped := 0, 0
			seen := map[int]bool{}
			for i, p := range h.Processes() {
				if i == 0 && p.PID != c.InitPID {
					t.Errorf("first process is %d, not %d", p.PID, c.InitPID)
				}
				if p.Parent == nil && i != 0 || p.Parent != nil && !seen[p.Parent.PID] {
					t.Errorf("process %d has its parent behind it", p.PID)
				}
				seen[p.PID] = true
				if p.Zombie {
					zombies++
				}
				if p.Stopped {
					stopped++
					if p.StopSignal != int(unix.SIGSTOP) {
						t.Errorf("process %d was stopped by %d", p.PID, p.StopSignal)
					}
				}
			}
			if zombies < 3 || stopped != 2 || len(seen) < 1+3+4+4+40+2+3 {
				t.Errorf("%d zombies, %d stopped, %d processes", zombies, stopped, len(seen))
			}
			callAll(t, h)
			c.still()
			if err := h.Finish(t.Context(), ptrace.Thaw); err != nil {
				t.Fatal(err)
			}
			h.Release(&err0)
			if n := c.traced(); n != 0 {
				t.Fatalf("%d tasks are still traced", n)
			}
			if i%10 == 0 {
				t.Logf("held %d processes in %v", len(seen), took)
			}
		}
		if err0 != nil {
			t.Error(err0)
		}
		// One that is let go runs into its stop again.
		stopped := stoppedOf(c)
		for range 200 {
			if !bytes.Contains(stopped, []byte("?")) {
				break
			}
			time.Sleep(10 * time.Millisecond)
			stopped = stoppedOf(c)
		}
		for _, p := range stopped {
			if p != 'T' {
				t.Errorf("a stopped process is in state %c", p)
			}
		}
	})
}

var err0 error

// stoppedOf returns the states of the processes "stopped", by order.
func stoppedOf(c *crowd) []byte {
	var states []byte
	pids, _ := c.Processes()
	for _, pid := range pids {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if i := bytes.LastIndexByte(b, ')'); i >= 0 && b[i+2] == 'T' {
			states = append(states, 'T')
		}
	}
	for len(states) < 2 {
		states = append(states, '?')
	}
	return states
}

func TestHoldFrozen(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		c := start(t, dir, "counter=2", "forker=2", "threader=2", "stopped=1")
		if err := c.Freezer.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.still()
		before := bytes.Clone(c.counters)
		for _, how := range []string{"finish", "release", "pause"} {
			h := c.hold()
			callAll(t, h)
			switch how {
			case "finish":
				if err := h.Finish(t.Context(), ptrace.Thaw); err != nil {
					t.Fatal(err)
				}
			case "pause":
				if err := h.Finish(t.Context(), ptrace.Pause); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			h.Release(&err)
			if err != nil {
				t.Error(err)
			}
			c.state(freezer.Frozen)
			if n := c.traced(); n != 0 {
				t.Errorf("%s: %d tasks are still traced", how, n)
			}
		}
		c.still()
		if !bytes.Equal(before, c.counters) {
			t.Error("the container ran while it should have stood frozen")
		}
		if err := c.Freezer.Thaw(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.runs()
	})
}

func TestPause(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		c := start(t, dir, "counter=2", "forker=2", "threader=2")
		h := c.hold()
		before := bytes.Clone(c.counters)
		if err := h.Finish(t.Context(), ptrace.Pause); err != nil {
			t.Fatal(err)
		}
		var err error
		h.Release(&err)
		c.state(freezer.Frozen)
		c.still()
		if err != nil || !bytes.Equal(before, c.counters) || c.traced() != 0 {
			t.Errorf("after the pause: %v, it ran: %v, traced: %d", err, !bytes.Equal(before, c.counters), c.traced())
		}
		if err := c.Freezer.Thaw(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.runs()
	})
}

func TestKill(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		for _, frozen := range []bool{false, true} {
			c := start(t, dir, "counter=2", "forker=2", "threader=2", "sleeper=20", "stopped=1", "zombie=1")
			if frozen {
				if err := c.Freezer.Freeze(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			h := c.hold()
			before := bytes.Clone(c.counters)
			if err := h.Finish(t.Context(), ptrace.Kill); err != nil {
				t.Fatal(err)
			}
			var err error
			h.Release(&err)
			if err != nil {
				t.Error(err)
			}
			if !bytes.Equal(before, c.counters) {
				t.Error("something ran before it was killed")
			}
			if pids, err := c.Processes(); err != nil || len(pids) != 0 {
				t.Errorf("processes %v, %v after the kill", pids, err)
			}
		}
	})
}

// TestRelease: whatever goes wrong, the container goes on.
func TestRelease(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		c := start(t, dir, "counter=2", "forker=2", "stopped=1")
		check := func(how string) {
			t.Helper()
			if n := c.traced(); n != 0 {
				t.Errorf("%s: %d tasks are still traced", how, n)
			}
			c.state(freezer.Thawed)
			c.runs()
		}
		func() {
			defer func() { recover() }()
			var err error
			h := c.hold()
			defer h.Release(&err)
			h.Do(func() error { panic("a bug") })
		}()
		check("panic")
		func() {
			ctx, cancel := context.WithCancel(t.Context())
			h, err := ptrace.Hold(ctx, c.Container, nil, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release(&err)
			cancel()
		}()
		check("context")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if h, err := ptrace.Hold(ctx, c.Container, nil, time.Second); err == nil {
			h.Release(&err)
			t.Error("Hold with an ended context succeeded")
		}
		check("ended context")
		if h, err := ptrace.Hold(t.Context(), c.Container, nil, time.Microsecond); err == nil {
			h.Release(&err)
			t.Error("Hold in no time succeeded")
		}
		check("timeout")
	})
}

func TestRefuseTraced(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		c := start(t, dir, "counter=1", "sleeper=3", "traced=1")
		for _, want := range []freezer.State{freezer.Thawed, freezer.Frozen} {
			if want == freezer.Frozen {
				if err := c.Freezer.Freeze(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			h, err := ptrace.Hold(t.Context(), c.Container, nil, 5*time.Second)
			var r *refusal.Refusal
			if !errors.As(err, &r) || r.Kind != "tracer" {
				t.Errorf("Hold of a traced process: %v", err)
			} else {
				t.Log(err)
			}
			if h != nil {
				t.Error("Hold returned something with its error")
			}
			if d := time.Since(begin); d > 2*time.Second {
				t.Errorf("it took %v", d)
			}
			c.state(want)
			if n := c.traced(); n != 1 {
				t.Errorf("%d tasks are traced, not 1", n)
			}
		}
		c.Freezer.Thaw(t.Context())
		c.runs()
	})
}

func TestRefuseVfork(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		c := start(t, dir, "counter=1", "vforks=1")
		begin := time.Now()
		h, err := ptrace.Hold(t.Context(), c.Container, nil, 5*time.Second)
		var r *refusal.Refusal
		if !errors.As(err, &r) || r.Kind != "vfork" {
			t.Errorf("Hold of a vfork parent: %v", err)
			if err == nil {
				h.Release(&err)
			}
		} else {
			t.Logf("%v (%v)", err, time.Since(begin))
		}
		c.state(freezer.Thawed)
		c.runs()
	})
}

func TestHold200(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		c := start(t, dir, "sleeper=200", "counter=1")
		for range 3 {
			begin := time.Now()
			h := c.hold()
			t.Logf("200 processes held in %v", time.Since(begin))
			if n := len(h.Processes()); n != 202 {
				t.Errorf("%d processes", n)
			}
			var err error
			begin = time.Now()
			h.Release(&err)
			t.Logf("released in %v", time.Since(begin))
			if err != nil {
				t.Error(err)
			}
			c.runs()
		}
	})
}
