package targets

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestWorkerKilled: whoever is killed (SIGKILL) while the container's TCP is silent
// leaves it as it was: bytes go on, though he can put nothing back any more.
func TestWorkerKilled(t *testing.T) {
	need.Check(t, need.Root, need.Freezer)
	r := start(t, "fd_tcp_stream", "c/fd_tcp_stream.c", programOf(t, "c/fd_tcp_stream.c"), 0)
	for range harness.Rounds(2, 20) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		// Nobody reads, so it stands in the midst of writing.
		const least, nearlyFull = 4096, 4000
		if _, err := unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, least); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		c := exec.Command(harness.Tool(t, "lxc-checkpoint"), "--cgroup="+r.tree.Cgroup.Dir, "-d", "1")
		c.Stdout, c.Stderr = write, &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		write.Close()
		harness.Until(t, "the pipe to be full", 20*time.Second, func() bool {
			n, err := unix.IoctlGetInt(int(read.Fd()), unix.TIOCINQ)
			return err == nil && n > nearlyFull
		})
		if err := unix.Kill(onlyChild(t, c.Process.Pid), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil || !strings.Contains(said.String(), "killed by SIGKILL") {
			t.Errorf("killed, but: %v\n%s", err, said.String())
		}
		read.Close()
	}
	r.judge()
}

// onlyChild is the one child of a process.
func onlyChild(t *testing.T, pid int) int {
	t.Helper()
	var children []string
	for _, task := range tasksOf(t, pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task))
		if err != nil {
			continue
		}
		children = append(children, strings.Fields(string(text))...)
	}
	if len(children) != 1 {
		t.Fatalf("process %d has the children %v", pid, children)
	}
	child, err := strconv.Atoi(children[0])
	if err != nil {
		t.Fatal(err)
	}
	return child
}

func tasksOf(t *testing.T, pid int) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
