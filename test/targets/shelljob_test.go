package targets

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// desk is a shell at a terminal, and who sits there.
type desk struct {
	t      *testing.T
	master *os.File
	mu     sync.Mutex
	shown  strings.Builder
}

func sitDown(t *testing.T) *desk {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, master: os.NewFile(uintptr(fd), "ptmx")}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("/bin/bash", "--norc", "--noprofile", "-i")
	shell.Env = []string{"PS1=desk# ", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb"}
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := d.master.Read(b)
			d.mu.Lock()
			d.shown.Write(b[:n])
			d.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = shell.Process.Kill()
		_ = shell.Wait()
		d.master.Close()
	})
	return d
}

// types types a line, and waits until the terminal shows an answer.
func (d *desk) types(line, answer string) {
	d.t.Helper()
	d.mu.Lock()
	from := d.shown.Len()
	d.mu.Unlock()
	if _, err := io.WriteString(d.master, line); err != nil {
		d.t.Fatal(err)
	}
	text := func() string {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.shown.String()[from:]
	}
	if !harness.Wait(20*time.Second, func() bool { return strings.Contains(text(), answer) }) {
		d.t.Fatalf("after %q the terminal shows no %q, but %q", line, answer, text())
	}
}

// TestNativeShellJob: a container without LXC that is a job of a shell, at its
// terminal: refused, or saved with --shell-job, and then a job of the shell that
// restarts it, with its own jobs.
func TestNativeShellJob(t *testing.T) {
	need.Check(t, need.Root, need.Freezer)
	harness.KeepInherited()
	cgroup, err := harness.NewCgroup(need.Freezers()[0], "shell-job")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cgroup.Remove(); err != nil {
			t.Error(err)
		}
	})
	d := sitDown(t)
	d.types(fmt.Sprintf("unshare --fork --pid --ipc --uts sh -c 'echo 0 >%s/cgroup.procs; PS1=\"job# \" exec bash --norc --noprofile -i'\r", cgroup.Dir), "job# ")
	d.types("secret=$((40+2)); sleep 4711 &\r", "[1]")
	d.types("echo it is $secret\r", "it is 42")

	file := filepath.Join(t.TempDir(), "f")
	got := harness.Run(t, harness.Tool(t, "lxc-checkpoint"), "--cgroup="+cgroup.Dir, "-S", file, "-k")
	if got.Code != 1 || !strings.Contains(got.Stderr, "controlling terminal") || !strings.Contains(got.Stderr, "--shell-job") {
		t.Fatalf("it should be refused: %v", got)
	}
	harness.Silent(t, "lxc-checkpoint", "--cgroup="+cgroup.Dir, "-S", filepath.Join(t.TempDir(), "live"), "--shell-job")
	d.types("echo still $secret\r", "still 42")
	harness.Silent(t, "lxc-checkpoint", "--cgroup="+cgroup.Dir, "-S", file, "-k", "--shell-job")
	d.types("\r", "desk# ")

	tool := harness.Tool(t, "lxc-restart")
	if got := harness.Run(t, tool, "--native", "--check", "--cgroup="+cgroup.Dir, "-S", file); got.Code != 1 || !strings.Contains(got.Stderr, "--shell-job") {
		t.Errorf("--check should ask for --shell-job: %v", got)
	}
	// At another terminal.
	e := sitDown(t)
	e.types(fmt.Sprintf("%s --native --shell-job --cgroup=%s -n shell-job -S %s\r", tool, cgroup.Dir, file), "\n")
	e.types("echo again $secret\r", "again 42")
	e.types("jobs\r", "sleep 4711")
	e.types("tty\r", "/dev/pts/")
	e.types("kill %1; wait; sleep 1000\r", "sleep 1000")
	time.Sleep(300 * time.Millisecond)
	e.types("\x03", "job# ") // is for what the container has in the foreground
	e.types("exit\r", "desk# ")
	e.types("echo $((6*7)) is left\r", "42 is left")
}
