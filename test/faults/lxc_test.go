package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestLXCInterrupted: after kill -9 in the moments around the freeze, stock
// lxc-unfreeze, or nothing, makes a container of stock LXC go on. lxc-unfreeze
// does nothing unless LXC's monitor thinks that the container is frozen.
func TestLXCInterrupted(t *testing.T) {
	need.Check(t, need.Root, need.LXC, need.Freezer)
	b, lxc := newLXCBox(t)
	s := &strikes{box: b, tally: map[string]int{}}
	for i := range harness.Rounds(12, 100) {
		w := ways[i%2] // kill -9, TERM
		s.round(&attempt{way: w}, func(a *attempt) string {
			s.spin(a, s.cgroup.Frozen)
			return s.pause(a, random(2*time.Millisecond), "after the freeze")
		})
		if state := lxc("lxc-info", "-sH"); state != "RUNNING" {
			t.Fatalf("after %s lxc-info says %s", w.name, state)
		}
	}
	b.judge()
	t.Logf("outcomes: %v", s.tally)
}

// TestLXCRejected: a restart of a damaged statefile under LXC leaves the
// container stopped, and one of the whole statefile works afterwards.
func TestLXCRejected(t *testing.T) {
	need.Check(t, need.Root, need.LXC, need.Freezer)
	b, lxc := newLXCBox(t)
	whole := filepath.Join(b.states, "whole")
	b.checkpoint("-S", whole, "-k")
	stopped := func() bool { return lxc("lxc-info", "-sH") == "STOPPED" }
	harness.Until(t, "LXC to see that the container is gone", 10*time.Second, stopped)
	o := apart(t, whole)
	before := b.number()
	for _, d := range []damaged{o.flip(o.borders[0] + 40), o.flip(o.borders[o.pages] + 40), o.flip(len(o.bytes) - 20), o.cut(len(o.bytes) - 1)} {
		if err := os.WriteFile(b.statefile(), d.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		got := harness.Run(t, harness.Tool(t, "lxc-restart"), slices.Concat(b.target, []string{"-S", b.statefile()})...)
		if got.Code != 1 || strings.Count(got.Stderr, "\n") != 1 || !where.MatchString(got.Stderr) || !strings.HasSuffix(got.Stderr, " is stopped\n") {
			t.Errorf("%s: want exit code 1 and a line that says where: %v", d.what, got)
		}
		if !stopped() || len(b.now()) > 0 || b.number() != before {
			t.Errorf("%s: something is left running: lxc-info says %s, processes %s", d.what, lxc("lxc-info", "-sH"), b.conditions())
		}
	}
	harness.Silent(t, "lxc-restart", slices.Concat(b.target, []string{"-S", whole})...)
	b.pids = b.now()
	b.goesOn("after the restart")
	b.judge()
}

// newLXCBox is newBox for a container of stock LXC, with c/ring.c as its init.
// lxc runs one of LXC's commands on it and returns what that writes.
func newLXCBox(t *testing.T) (b *box, lxc func(command string, args ...string) string) {
	t.Helper()
	name := fmt.Sprintf("faults-%d", os.Getpid())
	path := t.TempDir()
	root := filepath.Join(path, name, "rootfs")
	lxc = func(command string, args ...string) string {
		t.Helper()
		return strings.TrimSpace(harness.Must(t, command, append([]string{"-P", path, "-n", name}, args...)...))
	}
	for _, dir := range []string{"dev", "proc", "sys"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(filepath.Join(programs(t), "ring"))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Join([]string{
		"lxc.rootfs.path = dir:" + root, "lxc.uts.name = " + name, "lxc.net.0.type = empty", "lxc.init.cmd = /ring",
		"lxc.apparmor.profile = unconfined", "lxc.tty.max = 0", "lxc.console.path = none", "",
	}, "\n")
	for file, text := range map[string]string{
		filepath.Join(root, "ring"): string(program), filepath.Join(root, "mebibytes"): "4", filepath.Join(path, name, "config"): config,
	} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cgroup := &harness.Cgroup{Dir: filepath.Join(need.Freezers()[0], "lxc.payload."+name)}
	b = &box{t: t, cgroup: cgroup, states: t.TempDir(), target: []string{"-P", path, "-n", name},
		tree: &harness.Tree{Dir: root, Cgroup: cgroup}}
	b.thaw = func() error { lxc("lxc-unfreeze"); return nil }
	t.Cleanup(func() {
		harness.Run(t, "lxc-unfreeze", "-P", path, "-n", name)
		harness.Run(t, "lxc-stop", "-P", path, "-n", name, "-k")
		if !harness.Wait(10*time.Second, func() bool { _, err := os.Stat(cgroup.Dir); return err != nil }) {
			t.Errorf("cgroup %s is left", cgroup.Dir)
		}
		// LXC's monitors are orphans, and so our children.
		harness.Wait(10*time.Second, func() bool { return allGone(childrenNamed("lxc-start")) })
	})
	lxc("lxc-start")
	if _, err := b.tree.AwaitFile("ready", 20*time.Second); err != nil {
		t.Fatalf("before the checkpoint: %v", err)
	}
	b.pids = b.now()
	return b, lxc
}

func childrenNamed(name string) []int {
	var pids []int
	for _, pid := range descendants(os.Getpid()) {
		if status(pid, "Name") == name {
			pids = append(pids, pid)
		}
	}
	return pids
}
