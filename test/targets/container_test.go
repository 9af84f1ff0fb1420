package targets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestContainer: each target as a container of stock LXC: ten checkpoints while
// it goes on, then -k, a restart by LXC, and its judgement. It sees what LXC
// adds: a console, LXC's mounts, cgroups, a monitor as the parent.
func TestContainer(t *testing.T) {
	need.Check(t, need.LXC)
	eachSource(t, "c", func(t *testing.T, name, source, program string, _ int) {
		if strings.Contains(text(source), "\n// not under LXC: ") {
			tally.skip(t, name, strings.TrimSpace(between(text(source), "\n// not under LXC: ", "\n")))
		}
		c := startContainer(t, name, program)
		for round := range 10 {
			args := []string{"-P", c.path, "-n", c.name, "-S", c.statefile("live")}
			if round == 1 && !byBPFOnly(source) {
				args = append(args, "--no-bpf")
			}
			harness.Silent(t, "lxc-checkpoint", args...)
		}
		harness.Silent(t, "lxc-checkpoint", "-P", c.path, "-n", c.name, "-S", c.statefile("killed"), "-k")
		if state := c.state(); state != "STOPPED" {
			t.Fatalf("killed, and lxc-info says %s", state)
		}
		if got := c.lxc(harness.Tool(t, "lxc-restart"), "--check", "-S", c.statefile("killed")); got.Code != 0 {
			t.Errorf("it was killed, and %v", got)
		}
		harness.Silent(t, "lxc-restart", "-P", c.path, "-n", c.name, "-S", c.statefile("killed"))
		judge(t, c)
	})
}

// container is a container of LXC whose first process is a target, in a root
// file system that holds nothing else.
type container struct {
	t          *testing.T
	path, name string
	home       string // where the target was started
}

func startContainer(t *testing.T, name, program string, lines ...string) *container {
	t.Helper()
	c := makeContainer(t, name, program, "/bin/target", lines...)
	log := c.start()
	if _, err := c.await("ready", 20*time.Second); err != nil {
		if result, e := c.await("result", 0); e == nil {
			if reason, ok := strings.CutPrefix(result, "skip: "); ok {
				tally.skip(t, name, reason)
			}
			t.Fatalf("before the checkpoint: %s", result)
		}
		t.Fatalf("before the checkpoint: %v\n%s", err, text(log))
	}
	return c
}

// start has LXC start it, and returns where its log is.
func (c *container) start() (log string) {
	c.t.Helper()
	log = filepath.Join(c.path, "start.log")
	if r := c.lxc("lxc-start", "-o", log, "-l", "WARN"); r.Code != 0 {
		c.t.Fatalf("%v%s", r, text(log))
	}
	return log
}

// forgotten removes the cgroups that LXC (5.0.2) now and then forgets when a
// container ends soon after its start: those of its monitor, which are empty.
func (c *container) forgotten() {
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		pattern := filepath.Join(hierarchy, "lxc.*."+c.name)
		harness.Wait(2*time.Second, func() bool {
			left, _ := filepath.Glob(pattern)
			return len(left) == 0
		})
		left, _ := filepath.Glob(pattern)
		for _, dir := range left {
			if err := syscall.Rmdir(dir); err != nil {
				c.t.Errorf("LXC has left cgroup %s, which can't be removed: %v", dir, err)
			}
		}
	}
}

// makeContainer makes one whose first process is init, with lines for its config.
func makeContainer(t *testing.T, name, program, init string, lines ...string) *container {
	t.Helper()
	path, err := os.MkdirTemp("/var/tmp", "lxc-checkpoint-target-")
	if err != nil {
		t.Fatal(err)
	}
	// A container's users have to get there.
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &container{t: t, path: path, name: fmt.Sprintf("%s-%d", strings.ReplaceAll(name, "_", "-"), os.Getpid())}
	rootfs := filepath.Join(path, c.name, "rootfs")
	c.home = filepath.Join(rootfs, "home")
	t.Cleanup(func() {
		if c.state() != "STOPPED" {
			c.lxc("lxc-stop", "-k")
		}
		c.forgotten()
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	for _, dir := range []string{"dev", "proc", "sys", "home", "tmp", "etc", "bin", "run"} {
		if err := os.MkdirAll(filepath.Join(rootfs, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{c.home, filepath.Join(rootfs, "tmp")} {
		if err := os.Chmod(dir, 0o1777); err != nil {
			t.Fatal(err)
		}
	}
	harness.Must(t, "cp", program, filepath.Join(rootfs, "bin/target"))
	harness.Must(t, "cp", program, filepath.Join(rootfs, "bin/true")) // some want a second file
	config := strings.Join(append([]string{
		"lxc.uts.name = " + c.name,
		"lxc.rootfs.path = dir:" + rootfs,
		"lxc.init.cmd = " + init,
		"lxc.init.cwd = /home",
		"lxc.net.0.type = empty",
		"lxc.tty.max = 1",
		"lxc.pty.max = 1024",
		"lxc.autodev = 1",
		"lxc.mount.entry = tmpfs dev/shm tmpfs create=dir 0 0",
		"lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed",
		"lxc.apparmor.profile = unconfined",
	}, lines...), "\n") + "\n"
	if err := os.WriteFile(filepath.Join(path, c.name, "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *container) lxc(command string, args ...string) *harness.Result {
	c.t.Helper()
	return harness.Run(c.t, command, append([]string{"-P", c.path, "-n", c.name}, args...)...)
}

func (c *container) state() string {
	c.t.Helper()
	return strings.TrimSpace(c.lxc("lxc-info", "-sH").Stdout)
}

func (c *container) statefile(name string) string { return filepath.Join(c.path, name) }

func (c *container) trigger(name string) error {
	return os.WriteFile(filepath.Join(c.home, name), nil, 0o666)
}

func (c *container) await(name string, d time.Duration) (string, error) {
	return harness.AwaitFile(filepath.Join(c.home, name), d, func() bool { return c.state() != "STOPPED" })
}
