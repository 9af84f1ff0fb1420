package freezer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/freezer"
)

// roots returns where the hierarchies that can freeze are mounted, by version.
func roots(t *testing.T) map[int]string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes cgroups")
	}
	found := map[int]string{}
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case f[2] == "cgroup" && strings.Contains(","+f[3]+",", ",freezer,"):
			found[1] = f[1]
		case f[2] == "cgroup2":
			found[2] = f[1]
		}
	}
	if len(found) == 0 {
		t.Skip("no hierarchy of cgroups that can freeze is mounted")
	}
	return found
}

// each runs a test in a new cgroup of every version that is mounted.
func each(t *testing.T, test func(t *testing.T, dir string)) {
	for version, root := range roots(t) {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			dir := filepath.Join(root, fmt.Sprintf("lxc-checkpoint-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
			mkdir(t, dir)
			test(t, dir)
		})
	}
}

// mkdir makes a cgroup that is removed, with its processes, after the test.
func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 100 {
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("cgroup %s is left", dir)
	})
}

// spin starts a process that uses a CPU in the cgroup.
func spin(t *testing.T, dir string) int {
	t.Helper()
	c := exec.Command("sh", "-c", `echo $$ > "$0"/cgroup.procs; echo in; while :; do :; done`, dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for d := dir; strings.Contains(d, "lxc-checkpoint-test"); d = filepath.Dir(d) {
			if f, err := freezer.Open(d); err == nil {
				_ = f.Thaw(context.Background())
			}
		}
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

// used is the CPU time that a process has had.
func used(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))[0]
}

// stands waits until a process uses no CPU time any more. One that has just
// been frozen may still be on its way to where it waits, on a busy machine.
func stands(t *testing.T, pid int) bool {
	t.Helper()
	equal := 0
	for range 500 {
		before := used(t, pid)
		time.Sleep(10 * time.Millisecond)
		if used(t, pid) != before {
			equal = 0
		} else if equal++; equal == 6 {
			return true
		}
	}
	return false
}

// runs waits until a process uses CPU time: on a busy machine it has to wait
// for its turn.
func runs(t *testing.T, pid int) bool {
	t.Helper()
	before := used(t, pid)
	for range 500 {
		time.Sleep(10 * time.Millisecond)
		if used(t, pid) != before {
			return true
		}
	}
	return false
}

func open(t *testing.T, dir string) freezer.Freezer {
	t.Helper()
	f, err := freezer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func state(t *testing.T, f freezer.Freezer, want freezer.State) {
	t.Helper()
	if s, err := f.State(); err != nil || s != want {
		t.Errorf("state is %v, %v; want %v", s, err, want)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		sub := filepath.Join(dir, "below")
		mkdir(t, sub)
		f := open(t, dir)
		pids := []int{spin(t, dir), spin(t, sub), spin(t, sub)}
		for range 20 {
			if err := f.Freeze(ctx); err != nil {
				t.Fatal(err)
			}
			state(t, f, freezer.Frozen)
			if err := f.Freeze(ctx); err != nil {
				t.Fatalf("a second freeze: %v", err)
			}
			if err := f.Thaw(ctx); err != nil {
				t.Fatal(err)
			}
			state(t, f, freezer.Thawed)
		}
		if err := f.Freeze(ctx); err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			if !stands(t, pid) {
				t.Errorf("process %d runs in a frozen cgroup", pid)
			}
		}
		if err := f.Thaw(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		for _, pid := range pids {
			if !runs(t, pid) {
				t.Errorf("process %d does not run after the thaw", pid)
			}
		}
	})
}

func TestThawBelowAFrozenCgroup(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		sub := filepath.Join(dir, "below")
		mkdir(t, sub)
		spin(t, sub)
		above, f := open(t, dir), open(t, sub)
		if err := above.Freeze(ctx); err != nil {
			t.Fatal(err)
		}
		state(t, f, freezer.Frozen)
		var e *freezer.FrozenAboveError
		if err := f.Thaw(ctx); !errors.As(err, &e) || e.Above != dir {
			t.Errorf("thaw below a frozen cgroup: %v, want an error that names %s", err, dir)
		}
		if err := above.Thaw(ctx); err != nil {
			t.Fatal(err)
		}
		state(t, f, freezer.Thawed)
	})
}

// A freeze that has no time left either succeeds at once or leaves the cgroup
// as it was.
func TestFreezeWithoutTime(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		for range 20 {
			spin(t, dir)
		}
		f := open(t, dir)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		failed := 0
		for range 20 {
			switch err := f.Freeze(ctx); {
			case err == nil:
				state(t, f, freezer.Frozen)
				if err := f.Thaw(context.Background()); err != nil {
					t.Fatal(err)
				}
			case errors.Is(err, context.Canceled):
				failed++
				if s, err := f.State(); s != freezer.Thawed && s != freezer.Frozen || err != nil {
					t.Errorf("state %v, %v after a freeze that failed", s, err)
				}
				if word, _ := os.ReadFile(dir + "/cgroup.freeze"); strings.TrimSpace(string(word)) == "1" {
					t.Error("the cgroup was left freezing")
				}
			default:
				t.Fatal(err)
			}
		}
		t.Logf("%d of 20 freezes had to give up", failed)
	})
}

func TestOpenRefuses(t *testing.T) {
	for version, root := range roots(t) {
		if _, err := freezer.Open(root); err == nil || !strings.Contains(err.Error(), "root") {
			t.Errorf("the root of v%d: %v", version, err)
		}
	}
	for _, dir := range []string{"relative", "/", "/no/such/directory", ""} {
		if _, err := freezer.Open(dir); err == nil {
			t.Errorf("%q was opened", dir)
		}
	}
}
