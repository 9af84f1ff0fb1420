package hosts

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/test/harness"
)

// newMovable is a host with a bridge and the container of createMovable, running.
func newMovable(t *testing.T, name string) *host {
	t.Helper()
	h := newHost(t, name, binaries(t))
	h.must("sh", "-ec", "ip link add lxcbr0 type bridge; ip addr add "+outside+" dev lxcbr0; ip link set lxcbr0 up")
	createMovable(h)
	h.must("lxc-start", "-n", "c")
	return h
}

// TestActionScript: the script is run at each step, with its name and the
// container, and while the container is in that state; where it fails, the
// checkpoint or restart ends, and nothing has happened.
func TestActionScript(t *testing.T) {
	h := newMovable(t, "acts")
	write(h, "/tmp/script", `#!/bin/sh
echo "$1 $2 $CRTOOLS_SCRIPT_ACTION $LXC_NAME $LXC_PATH $(cat /proc/$CRTOOLS_INIT_PID/comm 2>/dev/null) $(lxc-info -n c -sH) $(ls /tmp/state 2>/dev/null)" >>/tmp/said
echo on standard output
[ -s /tmp/fails ] || case $1 in pre-resume | post-*) echo "$1 $(nsenter -t $CRTOOLS_INIT_PID -n ip link show eth0 | grep -c prog/xdp)" >>/tmp/deaf ;; esac
[ "$1" != "$(cat /tmp/fails)" ]
`)
	h.must("chmod", "755", "/tmp/script")
	write(h, "/tmp/fails", "")
	client := newTalk(t, h, movedAddress+":5002")
	client.says("before")

	said := func(want ...string) {
		t.Helper()
		var lines []string
		for _, w := range want {
			step, rest, _ := strings.Cut(w, " ")
			lines = append(lines, fmt.Sprintf("%s c %s c /var/lib/lxc %s", step, step, rest))
		}
		if have := h.must("cat", "/tmp/said"); have != strings.Join(lines, "\n") {
			t.Errorf("the script was run as\n%s\nand should have been as\n%s", have, strings.Join(lines, "\n"))
		}
		h.must("rm", "-f", "/tmp/said", "/tmp/state")
	}
	// The steps of a checkpoint.
	r := h.run(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-A", "/tmp/script")
	if r.Code != 0 || r.Stdout != "" || r.Stderr != strings.Repeat("on standard output\n", 4) {
		t.Error(r)
	}
	h.must("sed", "-i", "s/ *$//", "/tmp/said")
	said("pre-dump init RUNNING", "network-lock init RUNNING", "post-dump init RUNNING /tmp/state", "network-unlock init RUNNING /tmp/state")
	client.says("after the checkpoint")
	// Where it fails, the container goes on and is not killed.
	for _, step := range []string{"pre-dump", "network-lock", "post-dump"} {
		write(h, "/tmp/fails", step)
		before := h.settled()
		r := h.run(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "--action-script=/tmp/script", "-k")
		last := r.Stderr[strings.LastIndex(strings.TrimSpace(r.Stderr), "\n")+1:]
		if r.Code != 1 || !strings.Contains(last, "action script /tmp/script ended at step "+step+" with exit status 1") || !strings.Contains(last, "container c still runs") {
			t.Error(r)
		}
		h.must("rm", "-f", "/tmp/said", "/tmp/state")
		h.unchanged(before, "after a script that failed at "+step)
		client.says("after a checkpoint that failed at " + step)
	}
	write(h, "/tmp/fails", "")
	h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-k")
	h.must("cp", "/tmp/state", "/tmp/kept")
	// Of a restart.
	before := h.settled()
	for _, step := range []string{"pre-restore", "setup-namespaces", "post-setup-namespaces", "post-restore", "network-unlock", "pre-resume"} {
		write(h, "/tmp/fails", step)
		r := h.run(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/kept", "-A", "/tmp/script")
		if r.Code != 1 || !strings.Contains(r.Stderr, "lxc-restart: action script /tmp/script ended at step "+step+" with exit status 1; container c is stopped\n") {
			t.Error(r)
		}
		h.must("rm", "-f", "/tmp/said")
		write(h, "/tmp/fails", "")
		h.unchanged(before, "after a script that failed at "+step)
	}
	r = h.run(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/kept", "-A", "/tmp/script")
	if r.Code != 0 || r.Stdout != "" {
		t.Error(r)
	}
	steps := regexp.MustCompile(`(?m)^\S+`).FindAllString(h.must("cat", "/tmp/said"), -1)
	if want := "pre-restore setup-namespaces post-setup-namespaces post-restore network-unlock pre-resume post-resume"; strings.Join(steps, " ") != want {
		t.Errorf("the steps of a restart were %v, and should be %s", steps, want)
	}
	client.says("after the restart")
	// No packet comes in before all sockets are there.
	if deaf := h.must("tail", "-n4", "/tmp/deaf"); deaf != "post-setup-namespaces 1\npost-restore 1\npre-resume 0\npost-resume 0" {
		t.Errorf("its interface drops all packets at these steps:\n%s", deaf)
	}
}

// TestStartOptions: what lxc-start takes besides the config of a container,
// lxc-restart takes, too.
func TestStartOptions(t *testing.T) {
	h := newMovable(t, "starts")
	h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-k")
	h.must("sh", "-ec", "cp /var/lib/lxc/c/config /root/rcfile; sed -i s/lxcbr0/nosuch/ /var/lib/lxc/c/config")
	write(h, "/tmp/hook", "#!/bin/sh\necho \"$@\" >>/tmp/hooked\n")
	h.must("chmod", "755", "/tmp/hook")
	h.must(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/state", "--rcfile=/root/rcfile", "-s", "lxc.uts.name=defined", "--define", "lxc.hook.start-host=/tmp/hook")
	if said := h.must("cat", "/tmp/hooked"); said != "c lxc start-host" {
		t.Errorf("the hook that was defined was run as %q", said)
	}
	if name := h.must("lxc-attach", "-n", "c", "--", "hostname"); name != "c" {
		t.Errorf("its host name was c and is %q", name)
	}
	client := newTalk(t, h, movedAddress+":5002")
	client.says("with the bridge of the other config")
	// A container that no directory of its own has.
	h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-p")
	h.must("lxc-stop", "-k", "-n", "c")
	before := h.settled()
	r := h.run(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/state")
	if r.Code != 1 || !strings.Contains(r.Stderr, "nosuch") {
		t.Errorf("its own config names a bridge that is not there: %v", r)
	}
	h.unchanged(before, "without the other config")
	if r := h.run(h.tool("lxc-restart"), "-n", "c", "-S", "/tmp/state", "-s", "lxc.group"); r.Code != 2 || !strings.Contains(r.Stderr, "-s takes KEY=VALUE") {
		t.Error(r)
	}
}

// TestAll: every running container is written to a file of its own; one that
// can't be is named, and the others are checkpointed all the same.
func TestAll(t *testing.T) {
	h := newMovable(t, "many")
	write(h, "/root/empty", "lxc.net.0.type = empty\n")
	for _, name := range []string{"b", "d", "e"} {
		h.must("lxc-create", "-n", name, "-f", "/root/empty", "-t", "busybox")
	}
	h.must("lxc-start", "-n", "b")
	h.must("lxc-start", "-n", "d")
	h.must("mkdir", "/srv/states")
	r := h.run(h.tool("lxc-checkpoint"), "--all=/srv/states", "-k")
	if r.Code != 0 || r.Stderr != "" || r.Stdout != "b: /srv/states/b.state\nc: /srv/states/c.state\nd: /srv/states/d.state\n" {
		t.Error(r)
	}
	if files := h.must("ls", "/srv/states"); files != "b.state\nc.state\nd.state" {
		t.Errorf("files: %q", files)
	}
	for _, name := range []string{"b", "c", "d"} {
		h.must(h.tool("lxc-restart"), "-n", name, "-S", "/srv/states/"+name+".state")
	}
	// An obstacle in one of them: somebody who came by lxc-attach.
	attached := h.Command("lxc-attach", "-n", "c", "--", "sleep", "1000")
	if err := attached.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = attached.Process.Kill(); _ = attached.Wait() }()
	harness.Until(t, "the session", 10*time.Second, func() bool {
		return strings.Contains(h.must("lxc-attach", "-n", "c", "--", "ps"), "sleep 1000")
	})
	h.must("sh", "-c", "rm /srv/states/*")
	r = h.run(h.tool("lxc-checkpoint"), "--all=/srv/states")
	if r.Code != 1 || r.Stdout != "b: /srv/states/b.state\nd: /srv/states/d.state\n" || !strings.Contains(r.Stderr, "lxc-checkpoint: c: process ") ||
		!strings.Contains(r.Stderr, "container c still runs") || !strings.HasSuffix(r.Stderr, "lxc-checkpoint: 1 of 3 containers could not be checkpointed\n") {
		t.Error(r)
	}
	if files := h.must("ls", "/srv/states"); files != "b.state\nd.state" {
		t.Errorf("files: %q", files)
	}
}

// TestAsCopy: a second container of the same statefile runs beside the first one,
// under another name, with a root file system of its own, and another address or
// no network.
func TestAsCopy(t *testing.T) {
	h := newMovable(t, "copies")
	client := newTalk(t, h, movedAddress+":5002")
	client.says("before")
	h.must("lxc-attach", "-n", "c", "--", "sh", "-c", "echo 1 >/tmp/number")
	h.must(h.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/state", "-p")
	h.must("rsync", "-aHAX", "/var/lib/lxc/c/", "/var/lib/lxc/other/")
	h.must("rsync", "-aHAX", "/var/lib/lxc/c/", "/var/lib/lxc/alone/")
	h.must("lxc-unfreeze", "-n", "c")
	for _, name := range []string{"other", "alone"} {
		h.must("sed", "-i", "s|/var/lib/lxc/c/|/var/lib/lxc/"+name+"/|; s/\"c\"/"+name+"/; s/00:16:3e:78:00:02/00:16:3e:78:00:03/; s/10.213.78.2/10.213.78.3/", "/var/lib/lxc/"+name+"/config")
	}
	h.must("sh", "-c", "sed -i /lxc.net/d /var/lib/lxc/alone/config; echo lxc.net.0.type = empty >>/var/lib/lxc/alone/config")
	for _, name := range []string{"other", "alone"} {
		h.must(h.tool("lxc-restart"), "--check", "-n", name, "--as-copy", "-S", "/tmp/state")
		h.must(h.tool("lxc-restart"), "--name", name, "--as-copy", "-S", "/tmp/state")
		if now := h.must("lxc-attach", "-n", name, "--", "hostname"); now != name {
			t.Errorf("the host name of %s is %q", name, now)
		}
		h.must("lxc-attach", "-n", name, "--", "sh", "-c", "echo 2 >/tmp/number")
	}
	client.says("and the first one has kept its client")
	if number := read(t, filepath.Join(h.LXC, "c/rootfs/tmp/number")); number != "1\n" {
		t.Errorf("a file of the first one became %q", number)
	}
	second := newTalk(t, h, "10.213.78.3:5002") // the server has noticed the end of its connection
	second.says("hello")
	// A copy is a container as any other.
	h.must(h.tool("lxc-checkpoint"), "-n", "other", "-S", "/tmp/again", "-k")
	h.must(h.tool("lxc-restart"), "-n", "other", "-S", "/tmp/again")
	second.says("again")
	client.says("at last")
	for _, name := range []string{"c", "other", "alone"} {
		h.must("lxc-stop", "-n", name)
	}
	if _, err := os.Stat(h.Path("/var/lib/lxc/alone/rootfs/bin/busybox")); err != nil {
		t.Error(err)
	}
}
