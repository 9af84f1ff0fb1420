package hosts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// TestWhatIsMissing: a restart that lacks something says in one line what, and
// leaves the host as it was; when it is there again, the same statefile is
// restarted.
func TestWhatIsMissing(t *testing.T) {
	h := newHost(t, "lacks", binaries(t))
	h.must("sh", "-ec", "ip link add lxcbr0 type bridge; ip addr add "+outside+" dev lxcbr0; ip link set lxcbr0 up")
	createMovable(h)
	h.must("lxc-start", "-n", "c")
	client := newTalk(t, h, movedAddress+":5002")
	client.says("before")
	h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-k")
	const config, program = "/var/lib/lxc/c/config", "/var/lib/lxc/c/rootfs/bin/busybox"
	h.must("sh", "-ec", "head -c 9000 /tmp/state >/tmp/cut; echo no statefile >/tmp/other; : >/tmp/empty")

	for _, c := range []struct {
		what, lose, back string
		args             []string // in place of -n c -S /tmp/state
		want             string
	}{
		{what: "a name", args: []string{"-n", "nosuch", "-S", "/tmp/state"}, want: "there is no container nosuch in /var/lib/lxc: .*needs the container's config and root file system"},
		{what: "a statefile", args: []string{"-n", "c", "-S", "/tmp/nosuch"}, want: "/tmp/nosuch.*no such file"},
		{what: "its end", args: []string{"-n", "c", "-S", "/tmp/cut"}, want: "/tmp/cut.*(ends|truncated)"},
		{what: "anything", args: []string{"-n", "c", "-S", "/tmp/empty"}, want: "/tmp/empty.*empty"},
		{what: "its form", args: []string{"-n", "c", "-S", "/tmp/other"}, want: "/tmp/other.*(not|no) a? ?statefile"},
		{what: "the root file system", lose: "mv /var/lib/lxc/c/rootfs /var/lib/lxc/c/away", back: "mv /var/lib/lxc/c/away /var/lib/lxc/c/rootfs", want: "/var/lib/lxc/c/rootfs"},
		{what: "a program", lose: "mv " + program + " /tmp/busybox", back: "mv /tmp/busybox " + program, want: `/bin/busybox.*(no such file|does not exist|is not there)`},
		{what: "the same program", lose: "cp -p " + program + " /tmp/busybox; printf x >>" + program, back: "cp -p /tmp/busybox " + program, want: `/bin/busybox.*changed`},
		{what: "the bridge", lose: "ip link set lxcbr0 name other", back: "ip link set other name lxcbr0", want: "lxc-start could not make container c .*lxcbr0"},
		{what: "the interface", lose: "cp " + config + " /tmp/config; sed -i /lxc.net/d " + config + "; echo lxc.net.0.type = empty >>" + config, back: "cp /tmp/config " + config, want: "the container had the network interface eth0, and has none of that name now"},
	} {
		t.Run(c.what, func(t *testing.T) {
			h := &host{h.Host, t, h.bin}
			if c.lose != "" {
				h.must("sh", "-ec", c.lose)
				defer h.must("sh", "-ec", c.back)
			}
			if c.args == nil {
				c.args = []string{"-n", "c", "-S", "/tmp/state"}
			}
			before := h.settled()
			r := h.run(h.tool("lxc-restart"), c.args...)
			t.Log(strings.TrimSpace(r.Stderr))
			if r.Code != 1 || r.Stdout != "" || strings.Count(r.Stderr, "\n") != 1 || !regexp.MustCompile("(?i)"+c.want).MatchString(r.Stderr) {
				t.Errorf("want one line with %q: %v", c.want, r)
			}
			h.unchanged(before, "without "+c.what)
		})
	}
	h.must(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/state")
	client.says("afterwards")
	r := h.run(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/state")
	if r.Code != 1 || !strings.Contains(r.Stderr, "container c exists and is running: stop it first") {
		t.Errorf("when it runs: %v", r)
	}
	client.says("and it still runs")
}

// TestTakenNumber: without a pid namespace, a number that another process of the
// host has taken is named.
func TestTakenNumber(t *testing.T) {
	h := newHost(t, "taken", binaries(t))
	cgroup := filepath.Join(freezer(), "app")
	h.must("mkdir", cgroup)
	start := h.Command("setsid", "sh", "-c", "echo 0 >"+cgroup+"/cgroup.procs; exec sleep 1000")
	if err := start.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = start.Wait() }()
	pid := 0
	harness.Until(t, "the process", 10*time.Second, func() bool {
		// As the host numbers it.
		pid, _ = strconv.Atoi(strings.TrimSpace(h.run("head", "-n1", cgroup+"/cgroup.procs").Stdout))
		return pid > 0 && strings.Contains(read(t, h.Path(fmt.Sprintf("/proc/%d/comm", pid))), "sleep")
	})
	h.must(h.tool("lxc-checkpoint"), "--cgroup="+cgroup, "-S", "/tmp/state", "-k")
	harness.Until(t, "its end", 10*time.Second, func() bool { _, err := os.Stat(h.Path(fmt.Sprintf("/proc/%d", pid))); return err != nil })
	h.must("sh", "-c", fmt.Sprintf("echo %d >/proc/sys/kernel/ns_last_pid; setsid sleep 1001 >/dev/null 2>&1 </dev/null & :", pid-1))
	if name := read(t, h.Path(fmt.Sprintf("/proc/%d/comm", pid))); !strings.Contains(name, "sleep") && !strings.Contains(name, "sh") && !strings.Contains(name, "setsid") {
		t.Fatalf("process %d is %s", pid, name)
	}
	before := h.settled()
	r := h.run(h.tool("lxc-restart"), "--native", "-n", "app", "--cgroup="+cgroup, "-S", "/tmp/state")
	t.Log(strings.TrimSpace(r.Stderr))
	if r.Code != 1 || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, fmt.Sprintf("make task %d: another process on this host has that number", pid)) {
		t.Error(r)
	}
	h.unchanged(before, "with its number taken")
}

// TestInterruptedUnderLXC ends a restart under LXC at random instants: nothing is
// left, or the whole container runs, and a client outside keeps its connection.
// After kill -9 nobody is there to remove the two files by which its first program
// got in, nor the cgroup of its monitor that LXC forgets now and then, nor to keep
// the connection silent if that goes on already.
func TestInterruptedUnderLXC(t *testing.T) {
	h := newHost(t, "ends", binaries(t))
	h.must("sh", "-ec", "ip link add lxcbr0 type bridge; ip addr add "+outside+" dev lxcbr0; ip link set lxcbr0 up")
	createMovable(h)
	h.must("lxc-start", "-n", "c")
	client := newTalk(t, h, movedAddress+":5002")
	client.says("before")
	h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-k")
	begin := time.Now()
	h.must(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/state")
	whole := time.Since(begin)
	client.says("in between")
	h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-k")
	before := h.settled()
	tally := map[string]int{}
	rounds := harness.Rounds(9, 201)
	for i := range rounds {
		signal := []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGKILL}[i*3/rounds]
		if i*3/rounds == 2 && (i-1)*3/rounds == 1 {
			h.must(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/state")
			client.says("afterwards")
			h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-k")
			before = h.settled()
		}
		after := rand.N(whole)
		when := fmt.Sprintf("%s to lxc-restart %v after its begin", unix.SignalName(signal), after)
		var said bytes.Buffer
		c := h.Command("sh", "-c", "echo $$ >/tmp/pid; exec "+h.tool("lxc-restart")+" -n c -S /tmp/state")
		c.Stderr = &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		harness.Until(t, "the restart to begin", 10*time.Second, func() bool { _, err := os.Stat(h.Path("/tmp/pid")); return err == nil })
		time.Sleep(after)
		h.run("sh", "-c", fmt.Sprintf("kill -%d $(cat /tmp/pid); rm /tmp/pid", signal))
		_ = c.Wait()
		if c.ProcessState.ExitCode() == 0 {
			tally["too late"]++
			h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-k")
			before = h.settled()
			continue
		}
		if signal == unix.SIGKILL {
			// Its program ends by itself if it was not taken over yet.
			harness.Until(t, "LXC to clean up", 20*time.Second, func() bool {
				return h.must("lxc-info", "-n", "c", "-sH") == "STOPPED" && h.run("sh", "-c", "cat /proc/[0-9]*/comm | grep -x lxc-start").Code != 0
			})
			h.must("sh", "-c", "rm -rf /tmp/lxc-restart-* /var/lib/lxc/c/rootfs/.lxc-restart-*; rmdir "+freezer()+"/lxc.monitor.c 2>/dev/null || :")
		} else if strings.Count(said.String(), "\n") != 1 || !strings.Contains(said.String(), "interrupted by signal ") {
			t.Errorf("%s: it says %q", when, said.String())
		}
		h.unchanged(before, when)
		tally["nothing left"]++
	}
	h.must(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/state")
	h.must("lxc-attach", "-n", "c", "--", "true")
	t.Logf("a whole restart takes %v; outcomes: %v", whole, tally)
}
