package lxc

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// TestTools: LXC's own commands behave on a restarted container as on any.
func TestTools(t *testing.T) {
	b, c := busybox(t)
	b.checkpoint("-k", "-S", b.statefile("f"))

	monitor := b.monitor()
	wait := b.background("lxc-wait", "-s", "RUNNING", "-t", "20")
	b.restart("-S", b.statefile("f"))
	c.goesOn()
	if err := wait.Wait(); err != nil {
		t.Errorf("lxc-wait -s RUNNING during the restart: %v", err)
	}

	info := b.must("lxc-info")
	for _, want := range []string{"RUNNING", "PID:"} {
		if !strings.Contains(info, want) {
			t.Errorf("lxc-info says\n%s", info)
		}
	}
	if list := harness.Must(t, "lxc-ls", "-P", b.path, "--running"); !strings.Contains(list, b.name) {
		t.Errorf("lxc-ls --running does not show it: %q", list)
	}
	if ids := b.attach("sh", "-c", "echo $$; id -u; cat /proc/1/comm"); !strings.HasSuffix(ids, "\n0\ninit") {
		t.Errorf("inside: %q", ids)
	}

	b.must("lxc-freeze")
	b.expect("FROZEN")
	c.stands()
	b.must("lxc-unfreeze")
	b.expect("RUNNING")
	c.goesOn()

	b.console(1)
	b.stubIsGone()

	stopped := b.background("lxc-wait", "-s", "STOPPED", "-t", "20")
	b.must("lxc-stop") // in good order: init gets its signal
	b.expect("STOPPED")
	if err := stopped.Wait(); err != nil {
		t.Errorf("lxc-wait -s STOPPED: %v", err)
	}
	said := monitor()
	for _, state := range []string{"RUNNING", "FROZEN", "STOPPED"} {
		if !strings.Contains(said, "["+state+"]") {
			t.Errorf("lxc-monitor said nothing of %s:\n%s", state, said)
		}
	}
}

// background starts one of LXC's commands, which is killed at the end at the
// latest.
func (b *box) background(command string, args ...string) *exec.Cmd {
	b.t.Helper()
	c := exec.Command(command, append([]string{"-P", b.path, "-n", b.name}, args...)...)
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	time.Sleep(100 * time.Millisecond) // until it listens
	return c
}

// monitor starts lxc-monitor; the function it returns ends it and returns what
// it said.
func (b *box) monitor() func() string {
	b.t.Helper()
	file := filepath.Join(b.path, "monitor")
	out, err := os.Create(file)
	if err != nil {
		b.t.Fatal(err)
	}
	c := exec.Command("lxc-monitor", "-P", b.path, "-n", b.name)
	c.Stdout = out
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	end := func() string {
		if c.ProcessState == nil {
			time.Sleep(200 * time.Millisecond)
			_ = c.Process.Kill()
			_ = c.Wait()
			out.Close()
			_ = exec.Command("lxc-monitor", "-P", b.path, "-Q").Run() // its daemon
		}
		text, _ := os.ReadFile(file)
		return string(text)
	}
	b.t.Cleanup(func() { end() })
	return end
}

// console logs in on one of the container's terminals, 0 for its console: getty is
// there and answers.
func (b *box) console(tty int) {
	b.t.Helper()
	master, slave := pty(b.t)
	c := exec.Command("lxc-console", "-P", b.path, "-n", b.name, "-t", fmt.Sprint(tty), "-e", "^a")
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	slave.Close()
	defer func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		master.Close()
	}()
	lines := make(chan string, 100)
	go func() {
		r := bufio.NewReader(master)
		var all strings.Builder
		for {
			b, err := r.ReadByte()
			if err != nil {
				close(lines)
				return
			}
			all.WriteByte(b)
			select {
			case lines <- all.String():
			default:
			}
		}
	}()
	deadline := time.After(10 * time.Second)
	nudge := time.NewTicker(500 * time.Millisecond)
	defer nudge.Stop()
	seen := ""
	for !strings.Contains(seen, "login:") {
		select {
		case text, ok := <-lines:
			if !ok {
				b.t.Errorf("lxc-console ended; it showed %q", seen)
				return
			}
			seen = text
		case <-nudge.C:
			_, _ = io.WriteString(master, "\r")
		case <-deadline:
			b.t.Errorf("lxc-console shows no login prompt: %q", seen)
			return
		}
	}
}

// pty makes a pair of pseudo terminals.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "ptmx"), slave
}

// stubIsGone looks for traces of the restart in the container: its program,
// its mount, descriptors of it.
func (b *box) stubIsGone() {
	b.t.Helper()
	if mounts := b.attach("cat", "/proc/1/mounts"); strings.Contains(mounts, "lxc-restart") {
		b.t.Errorf("a mount of the restart is left in the container:\n%s", mounts)
	}
	if _, err := os.Lstat(filepath.Join(b.rootfs, ".lxc-restart")); err == nil {
		b.t.Error("the file .lxc-restart is left in the root file system")
	}
	links := b.attach("sh", "-c", "ls -l /proc/[0-9]*/fd /proc/[0-9]*/exe /proc/[0-9]*/cwd; cat /proc/[0-9]*/maps; ls -a /")
	for _, trace := range []string{"lxc-restart", "pidfd", "lxc-checkpoint", "memfd"} {
		for line := range strings.Lines(links) {
			if strings.Contains(line, trace) {
				b.t.Errorf("a trace of the restart is left in the container: %s", strings.TrimSpace(line))
			}
		}
	}
}

// TestAttached: a process that came in by lxc-attach is refused by name while
// its session is alive, and comes back when only what it started is left.
func TestAttached(t *testing.T) {
	b, c := busybox(t)
	attach := b.background("lxc-attach", "--", "sleep", "1000")
	harness.Until(t, "lxc-attach", 5*time.Second, func() bool { return strings.Contains(b.attach("ps"), "sleep 1000") })
	file := b.statefile("f")
	got := b.tool("lxc-checkpoint", "-k", "-S", file)
	if got.Code != 1 || !strings.Contains(got.Stderr, "sleep") || !strings.Contains(got.Stderr, "lxc-attach") {
		t.Errorf("it should be refused, and the message should name sleep and lxc-attach: %v", got)
	}
	b.expect("RUNNING")
	c.goesOn()
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a statefile")
	}
	_ = attach.Process.Kill()
	_ = attach.Wait()
	harness.Until(t, "the end of what was attached", 5*time.Second, func() bool {
		if strings.Contains(b.attach("ps"), "sleep 1000") {
			b.attach("killall", "sleep")
			return false
		}
		return true
	})

	b.attach("sh", "-c", `(setsid sh -c 'exec >/adopted.log; i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done' </dev/null 2>/dev/null &)`)
	adopted := &counter{b: b, file: "adopted.log"}
	adopted.goesOn()
	before := b.ps()
	b.checkpoint("-k", "-S", file)
	b.restart("-S", file)
	c.goesOn()
	adopted.goesOn()
	b.same(before)
}

// TestConfig: lines of the config that are no reason to fail.
func TestConfig(t *testing.T) {
	host := t.TempDir()
	write(t, filepath.Join(host, "shown"), "by the host")
	seccomp := filepath.Join(host, "seccomp")
	write(t, seccomp, "2\ndenylist\nreject_force_umount\n[all]\nkexec_load errno 1\nopen_by_handle_at errno 1\n")
	for name, config := range map[string][]string{
		"apparmor":   {"lxc.apparmor.profile = unconfined"},
		"seccomp":    {"lxc.seccomp.profile = " + seccomp},
		"mounts":     {"lxc.mount.entry = " + host + " mnt none bind 0 0", "lxc.mount.entry = tmpfs tmp tmpfs size=8m 0 0"},
		"limits":     {"lxc.prlimit.nofile = 512", "lxc.cgroup.pids.max = 300", "lxc.cgroup2.pids.max = 300"},
		"no console": {"lxc.console.path = none"},
	} {
		t.Run(name, func(t *testing.T) {
			if controllers, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); name == "limits" && err == nil && !strings.Contains(string(controllers), "pids") {
				t.Skip("cgroups of v2 have not got pids here: a hierarchy of v1 has")
			}
			b, c := busybox(t, config...)
			before := b.ps()
			b.checkpoint("-k", "-S", b.statefile("f"))
			b.restart("-S", b.statefile("f"))
			b.expect("RUNNING")
			c.goesOn()
			b.same(before)
			if name == "mounts" {
				if text := b.attach("cat", "/mnt/shown"); text != "by the host" {
					t.Errorf("the host's directory shows %q", text)
				}
			}
			b.must("lxc-stop")
		})
	}
}

// TestForeignCgroup: a left-over cgroup of the container's name is in
// nobody's way.
func TestForeignCgroup(t *testing.T) {
	b, c := busybox(t)
	before := b.ps()
	b.checkpoint("-k", "-S", b.statefile("f"))
	var made []string
	for _, mount := range cgroupMounts() {
		dir := filepath.Join(mount, "lxc.payload."+b.name)
		if err := os.Mkdir(dir, 0o755); err == nil {
			made = append(made, dir)
		}
	}
	defer func() {
		b.lxc("lxc-stop", "-k")
		for _, dir := range made {
			_ = os.Remove(dir)
		}
	}()
	if len(made) == 0 {
		t.Fatal("no cgroup could be made")
	}
	b.restart("-S", b.statefile("f"))
	c.goesOn()
	b.same(before)
	// And the container in its other cgroup can be checkpointed as well.
	b.checkpoint("-k", "-S", b.statefile("g"))
	b.restart("-S", b.statefile("g"))
	c.goesOn()
}
