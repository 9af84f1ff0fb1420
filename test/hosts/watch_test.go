package hosts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestWatchedCgroup: a program watches the files cgroup.events of cgroups of v2, as
// systemd does. The freeze for a checkpoint changes them: the program has these
// events to read, is no obstacle by that, and hears of later changes, too.
func TestWatchedCgroup(t *testing.T) {
	need.Check(t, need.FreezerV2, need.Program("python3"))
	h := newHost(t, "watches", binaries(t))
	freezers := need.Freezers()
	cgroup := filepath.Join(freezers[len(freezers)-1], "app")
	h.must("sh", "-ec", "mkdir "+cgroup+" "+cgroup+"/below")
	// It tells each change by a line: event, file.
	write(h, "/var/lib/lxc/watch.py", `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init1(0)
files = {libc.inotify_add_watch(fd, name.encode(), 2): name for name in sys.argv[1:]} # IN_MODIFY
while True:
	events = os.read(fd, 4096)
	while events:
		wd, mask, cookie, size = struct.unpack("iIII", events[:16])
		events = events[16+size:]
		with open("/var/lib/lxc/told", "a") as told:
			print(mask, files[wd], file=told)
`)
	start := h.Command("unshare", "--fork", "--pid", "--ipc", "--uts", "setsid", "sh", "-c", "echo 0 >"+cgroup+"/cgroup.procs; cd /; exec /usr/bin/python3 /var/lib/lxc/watch.py "+
		cgroup+"/cgroup.events "+cgroup+"/below/cgroup.events </dev/null >/dev/null 2>&1")
	if err := start.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = start.Wait() }()
	// A process comes below and goes: cgroup.events there changes.
	changes := func() {
		t.Helper()
		told := h.Path("/var/lib/lxc/told")
		_ = os.Remove(told)
		harness.Until(t, "to be told of a change below", 20*time.Second, func() bool {
			h.must("sh", "-c", "echo 0 >"+cgroup+"/below/cgroup.procs; exec true")
			text, _ := os.ReadFile(told)
			return strings.Contains(string(text), "2 "+cgroup+"/below/cgroup.events\n")
		})
	}
	changes()
	told := h.Path("/var/lib/lxc/told")
	for range 3 {
		h.must(h.tool("lxc-checkpoint"), "--cgroup="+cgroup, "-S", "/tmp/state", "-k")
		_ = os.Remove(told)
		h.must(h.tool("lxc-restart"), "--native", "-n", "app", "--cgroup="+cgroup, "-S", "/tmp/state")
		// Whether it hears of the freeze depends on when a worker of the kernel
		// comes to tell (kernfs_notify); of what changes from now on it does.
		changes()
	}
}
