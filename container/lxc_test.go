package container_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/container"
	"lxc-checkpoint/freezer"
)

// busybox makes a container of LXC's busybox template in a directory of its
// own and starts it. The directory's name has about length bytes.
func busybox(t *testing.T, length int) (name, lxcpath string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts a container")
	}
	if _, err := exec.LookPath("lxc-start"); err != nil {
		t.Skip("LXC is not installed (Debian: apt-get install lxc busybox-static)")
	}
	made, err := os.MkdirTemp("/var/tmp", "lxc-checkpoint-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(made) })
	lxcpath = made
	if n := length - len(lxcpath) - 1; n > 0 {
		lxcpath = filepath.Join(lxcpath, strings.Repeat("x", n))
		if err := os.Mkdir(lxcpath, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	name = fmt.Sprintf("t%d", os.Getpid())
	run(t, "lxc-create", "-P", lxcpath, "-n", name, "-t", "busybox")
	config := filepath.Join(lxcpath, name, "config")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^lxc\.net\.0.*\n`).ReplaceAll(text, nil)
	text = append(text, "lxc.net.0.type = empty\n"...)
	if err := os.WriteFile(config, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return name, lxcpath
}

func start(t *testing.T, name, lxcpath string) {
	t.Helper()
	run(t, "lxc-start", "-P", lxcpath, "-n", name, "-d")
	t.Cleanup(func() {
		_ = exec.Command("lxc-unfreeze", "-P", lxcpath, "-n", name).Run()
		_ = exec.Command("lxc-stop", "-P", lxcpath, "-n", name, "-k").Run()
	})
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestByName(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, length := range []int{0, 150} { // 150: the socket's name is hashed
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			name, lxcpath := busybox(t, length)

			var stopped *container.NotRunningError
			if _, err := container.ByName(ctx, name, lxcpath); !errors.As(err, &stopped) {
				t.Errorf("a stopped container: %v", err)
			}
			var missing *container.NotFoundError
			if _, err := container.ByName(ctx, "nosuch", lxcpath); !errors.As(err, &missing) {
				t.Errorf("a missing container: %v", err)
			}
			if s, pid, err := container.Query(ctx, name, lxcpath); s != container.Stopped || pid != 0 || err != nil {
				t.Errorf("query of a stopped one: %v, %d, %v", s, pid, err)
			}

			start(t, name, lxcpath)
			c, err := container.ByName(ctx, name, lxcpath+"/")
			if err != nil {
				t.Fatal(err)
			}
			if want := run(t, "lxc-info", "-P", lxcpath, "-n", name, "-pH"); fmt.Sprint(c.InitPID) != want {
				t.Errorf("first process is %d, want %s", c.InitPID, want)
			}
			if want := filepath.Join(lxcpath, name, "rootfs"); strings.TrimPrefix(c.Rootfs, "dir:") != want {
				t.Errorf("root file system is %q, want %q", c.Rootfs, want)
			}
			if base := filepath.Base(c.CgroupDir); base != "lxc.payload."+name {
				t.Errorf("cgroup is %s", c.CgroupDir)
			}
			if c.Executed || c.String() != "container "+name || c.CloneFlags == 0 {
				t.Errorf("executed %v, words %q, flags %#x", c.Executed, c, c.CloneFlags)
			}
			t.Logf("clone flags %#x, freezer v%d at %s", c.CloneFlags, c.Freezer.Version(), c.Freezer.Path())
			var pids []int
			for range 500 { // its init starts others
				if pids, err = c.Processes(); len(pids) > 1 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if err != nil || !slices.Contains(pids, c.InitPID) || len(pids) < 2 {
				t.Errorf("processes %v, %v", pids, err)
			}
			byPID, err := container.ByPID(ctx, c.InitPID)
			if err != nil || byPID.CgroupDir != c.CgroupDir || byPID.CloneFlags != c.CloneFlags {
				t.Errorf("by pid: %+v, %v", byPID, err)
			}
			byCgroup, err := container.ByCgroup(ctx, c.CgroupDir)
			if err != nil || byCgroup.InitPID != c.InitPID {
				t.Errorf("by cgroup: %+v, %v", byCgroup, err)
			}
			stateOf := func(want string) {
				t.Helper()
				if s := run(t, "lxc-info", "-P", lxcpath, "-n", name, "-sH"); s != want {
					t.Errorf("lxc-info says %s, want %s", s, want)
				}
			}

			// What lxc-freeze does, so that lxc-unfreeze undoes it.
			for _, step := range []func() error{
				func() error { return c.Announce(ctx, container.Freezing) },
				func() error { return c.Freezer.Freeze(ctx) },
				func() error { return c.Announce(ctx, container.Frozen) },
			} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			stateOf("FROZEN")
			again, err := container.ByName(ctx, name, lxcpath)
			if err != nil || again.InitPID != c.InitPID {
				t.Errorf("a frozen container: %+v, %v", again, err)
			}
			run(t, "lxc-unfreeze", "-P", lxcpath, "-n", name)
			stateOf("RUNNING")
			if s, err := c.Freezer.State(); s != freezer.Thawed || err != nil {
				t.Errorf("after lxc-unfreeze the freezer says %v, %v", s, err)
			}
			run(t, "lxc-freeze", "-P", lxcpath, "-n", name)
			if s, _, err := container.Query(ctx, name, lxcpath); s != container.Frozen || err != nil {
				t.Errorf("after lxc-freeze: %v, %v", s, err)
			}
			if s, err := c.Freezer.State(); s != freezer.Frozen || err != nil {
				t.Errorf("lxc-freeze used another freezer than %s: %v, %v", c.Freezer.Path(), s, err)
			}
			run(t, "lxc-unfreeze", "-P", lxcpath, "-n", name)
		})
	}
}

// The same where v2 is the only hierarchy, as on most hosts today: in a mount
// namespace that has no other.
func TestByNameOnV2Alone(t *testing.T) {
	if os.Getenv("LXC_CHECKPOINT_TEST_V2_ALONE") != "" || len(cgroupRoots(t)) < 2 {
		t.Skip("v2 is the only hierarchy here: TestByName and TestAnnounceIsHeard are this test")
	}
	const script = `mount --make-rprivate / && umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"`
	c := exec.Command("unshare", "-m", "sh", "-c", script, os.Args[0], "-test.v", "-test.run=^(TestByName|TestAnnounceIsHeard)$")
	c.Env = append(os.Environ(), "LXC_CHECKPOINT_TEST_V2_ALONE=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "freezer v2 at /sys/fs/cgroup/lxc.payload.") {
		t.Skipf("LXC is not there:\n%s", out)
	}
}

// lxc-monitor and lxc-wait hear what we announce.
func TestAnnounceIsHeard(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	name, lxcpath := busybox(t, 0)
	start(t, name, lxcpath)
	c, err := container.ByName(ctx, name, lxcpath)
	if err != nil {
		t.Fatal(err)
	}
	waiter := exec.Command("lxc-wait", "-P", lxcpath, "-n", name, "-s", "FROZEN", "-t", "10")
	if err := waiter.Start(); err != nil {
		t.Fatal(err)
	}
	heard := &strings.Builder{}
	monitor := exec.Command("lxc-monitor", "-P", lxcpath, "-n", name)
	monitor.Stdout = heard
	if err := monitor.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := c.Announce(ctx, container.Frozen); err != nil {
		t.Fatal(err)
	}
	if err := waiter.Wait(); err != nil {
		t.Errorf("lxc-wait -s FROZEN: %v", err)
	}
	time.Sleep(200 * time.Millisecond)
	_ = monitor.Process.Kill()
	_ = monitor.Wait()
	if !strings.Contains(heard.String(), "FROZEN") {
		t.Errorf("lxc-monitor said %q", heard)
	}
	run(t, "lxc-monitor", "-P", lxcpath, "-n", name, "-Q")
}

func TestExecuted(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	name, lxcpath := busybox(t, 0)
	execute := exec.Command("lxc-execute", "-P", lxcpath, "-n", name, "--", "/bin/sleep", "1000")
	if err := execute.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("lxc-stop", "-P", lxcpath, "-n", name, "-k").Run()
		_ = execute.Wait()
	})
	var c *container.Container
	var err error
	for range 100 {
		if c, err = container.ByName(ctx, name, lxcpath); err == nil && c.Executed {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("container made by lxc-execute: %+v, %v", c, err)
}
