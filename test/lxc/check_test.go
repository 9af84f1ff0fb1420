package lxc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/refusal"
	"lxc-checkpoint/test/harness"
)

// TestRestartCheck: lxc-restart --check names what is in the way on this host,
// one thing or all at once, makes nothing, and is right: what it says can be
// done, works.
func TestRestartCheck(t *testing.T) {
	bound := t.TempDir()
	bind := filepath.Join(bound, "dir")
	if err := os.Mkdir(bind, 0o755); err != nil {
		t.Fatal(err)
	}
	b, c := busybox(t, "lxc.mount.entry = "+bind+" mnt none bind 0 0")
	f := b.statefile("f")
	b.checkpoint("-k", "-S", f)
	config := filepath.Join(b.path, b.name, "config")
	busybox := filepath.Join(b.rootfs, "bin/busybox")
	move := func(file string) (there, back func()) {
		return func() { rename(t, file, file+".away") }, func() { rename(t, file+".away", file) }
	}
	gone := func(file, object string) obstacle {
		there, back := move(file)
		return obstacle{there, back, object, "put"}
	}
	count := filepath.Join(b.rootfs, "counter.log")
	text, err := os.ReadFile(count)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(add string) obstacle {
		before, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		return obstacle{func() { write(t, config, string(before)+add) }, func() { write(t, config, string(before)) }, "", ""}
	}
	bridge, seccomp, pair := lines("lxc.net.1.type = veth\nlxc.net.1.link = nosuchbr\n"), lines("lxc.seccomp.profile = /nosuch/profile\n"), lines("lxc.net.1.type = veth\nlxc.net.1.veth.pair = lo\n")
	bridge.object, bridge.remedy = "network interface eth0", "ip link add nosuchbr"
	seccomp.object, seccomp.remedy = "lxc.seccomp.profile", "put it there"
	pair.object, pair.remedy = "network interface eth0", "ip link delete lo"
	obstacles := map[string]obstacle{
		"a file is gone":      gone(busybox, "/bin/busybox"),
		"the root is gone":    gone(b.rootfs, "root file system"),
		"its config is gone":  gone(config, "container "+b.name),
		"a bind is gone":      {func() { must(t, os.Remove(bind)) }, func() { must(t, os.Mkdir(bind, 0o755)) }, "mount mnt", "make it"},
		"an open file shrank": {func() { write(t, count, "") }, func() { write(t, count, string(text)) }, "/counter.log", "put back"},
		"no bridge":           bridge,
		"a name taken":        pair,
		"no profile":          seccomp,
	}
	world := b.world()
	clean := func(when string) {
		t.Helper()
		got := b.tool("lxc-restart", "-S", f, "--check")
		if got.Code != 0 || got.Stderr != "" || !strings.Contains(got.Stdout, "a restart would work") {
			t.Fatalf("%s: %v", when, got)
		}
	}
	clean("at first")
	for name, o := range obstacles {
		o.make()
		told := b.obstacles("lxc-restart", "-S", f, "--check", "--json")
		plain := b.tool("lxc-restart", "-S", f, "--check")
		code := 1
		if strings.HasPrefix(o.object, "/") { // of the others lxc-start itself dies, and LXC 5.0.2 leaves its monitor's cgroups behind then
			code = b.tool("lxc-restart", "-S", f).Code
		}
		o.undo()
		i := slices.IndexFunc(told, func(r *refusal.Refusal) bool { return strings.Contains(r.Object, o.object) })
		if i < 0 || !strings.Contains(told[i].Remedy, o.remedy) {
			t.Errorf("%s: it tells %v; wanted %q with the remedy %q", name, told, o.object, o.remedy)
			continue
		}
		if plain.Code != 1 || strings.Count(plain.Stderr, told[i].Reason) == 0 || !strings.HasSuffix(plain.Stderr, "nothing was made\n") {
			t.Errorf("%s: %v", name, plain)
		}
		if code == 0 {
			t.Errorf("%s: --check refuses it, and it works", name)
			b.must("lxc-stop", "-k")
		}
		clean(name + ", undone")
	}
	// Several are told at once.
	obstacles["a file is gone"].make()
	obstacles["an open file shrank"].make()
	obstacles["a bind is gone"].make()
	told := b.obstacles("lxc-restart", "-S", f, "--check", "--json")
	for _, name := range []string{"a file is gone", "an open file shrank", "a bind is gone"} {
		if !slices.ContainsFunc(told, func(r *refusal.Refusal) bool { return strings.Contains(r.Object, obstacles[name].object) }) {
			t.Errorf("%s is not told among others: %v", name, told)
		}
		obstacles[name].undo()
	}
	// What another program of the same statefile could be.
	damaged := b.statefile("damaged")
	whole, err := os.ReadFile(f)
	must(t, err)
	write(t, damaged, string(whole[:len(whole)-100]))
	if told := b.obstacles("lxc-restart", "-S", damaged, "--check", "--json"); len(told) != 1 || !strings.Contains(told[0].Object, damaged) {
		t.Errorf("a cut statefile: %v", told)
	}
	if now := b.world(); now != world {
		t.Errorf("--check has made something:\nbefore: %s\nafter: %s", world, now)
	}
	// --allow-changed is what its remedy says.
	write(t, count, "")
	got := b.tool("lxc-restart", "-S", f, "--check", "--allow-changed")
	if got.Code != 0 {
		t.Errorf("with --allow-changed: %v", got)
	}
	write(t, count, string(text))
	b.restart("-S", f)
	c.goesOn()
	if told := b.obstacles("lxc-restart", "-S", f, "--check", "--json"); len(told) != 1 || told[0].Object != "container "+b.name || !strings.Contains(told[0].Remedy, "lxc-stop") {
		t.Errorf("of a container that runs: %v", told)
	}
}

// obstacle is one that is made, and taken away again.
type obstacle struct {
	make, undo     func()
	object, remedy string // what is told of it
}

// obstacles runs a --check --json that finds some.
func (b *box) obstacles(tool string, args ...string) refusal.List {
	b.t.Helper()
	got := b.tool(tool, args...)
	var r refusal.Report
	if err := json.Unmarshal([]byte(got.Stdout), &r); err != nil || got.Code != 1 || r.Works || len(r.Obstacles) == 0 {
		b.t.Fatalf("%v; %v", got, err)
	}
	return r.Obstacles
}

// world is what a restart of the container could make on the host.
func (b *box) world() string {
	b.t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(b.t, err)
	lines := slices.DeleteFunc(strings.Split(string(mounts), "\n"), func(l string) bool { return !strings.Contains(l, b.path) })
	files, _ := filepath.Glob(filepath.Join(b.path, "*", "*"))
	inside, _ := filepath.Glob(filepath.Join(b.rootfs, "*"))
	hidden, _ := filepath.Glob(filepath.Join(b.rootfs, ".*"))
	for _, hierarchy := range cgroupMounts() {
		lines = append(lines, b.cgroups(hierarchy)...)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return filepath.Dir(f) == b.states })
	return strings.Join(slices.Concat(lines, files, inside, hidden), "\n")
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.Rename(from, to))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestKilledOnlyIfRestartable: what lxc-restart --check would refuse here is not
// killed, and stays as it was, running or frozen; --check tells it before.
func TestKilledOnlyIfRestartable(t *testing.T) {
	b, c := busybox(t)
	config := filepath.Join(b.path, b.name, "config")
	bound := t.TempDir()
	text, err := os.ReadFile(config)
	must(t, err)
	f := b.statefile("f")
	for name, o := range map[string]obstacle{
		"no config": {func() { rename(t, config, config+".away") }, func() { rename(t, config+".away", config) }, "container " + b.name, "put them there"},
		"no bind": {func() { write(t, config, string(text)+"lxc.mount.entry = "+bound+"/nosuch mnt none bind 0 0\n") }, func() { write(t, config, string(text)) },
			"mount mnt", "make it"},
	} {
		for _, state := range []string{"RUNNING", "FROZEN"} {
			if state == "FROZEN" {
				b.must("lxc-freeze")
			}
			o.make()
			told := b.obstacles("lxc-checkpoint", "--check", "--json")
			got := b.tool("lxc-checkpoint", "-S", f, "-k")
			b.expect(state)
			o.undo()
			if len(told) != 1 || told[0].Object != o.object || !strings.Contains(told[0].Remedy, o.remedy) {
				t.Errorf("%s: --check tells %v", name, told)
			}
			if got.Code != 1 || !strings.Contains(got.Stderr, o.object+": could not be restarted: ") || !strings.Contains(got.Stderr, "nothing was written") {
				t.Errorf("%s: %v", name, got)
			}
			if _, err := os.Stat(f); err == nil {
				t.Errorf("%s: there is a statefile", name)
			}
			if state == "FROZEN" {
				c.stands()
				b.must("lxc-unfreeze")
			}
			c.goesOn()
		}
	}
	b.checkpoint("-k", "-S", f)
	if got := b.tool("lxc-restart", "-S", f, "--check"); got.Code != 0 {
		t.Errorf("it was killed, and lxc-restart --check says: %v", got)
	}
	b.restart("-S", f)
	c.goesOn()
}

// TestEphemeral: LXC destroys an ephemeral container when it stops; it is not
// killed.
func TestEphemeral(t *testing.T) {
	b, c := busybox(t, "lxc.ephemeral = 1")
	told := b.obstacles("lxc-checkpoint", "--check", "--json")
	if len(told) != 1 || told[0].Object != "container "+b.name || !strings.Contains(told[0].Reason, "lxc.ephemeral") {
		t.Errorf("--check tells %v", told)
	}
	if got := b.tool("lxc-checkpoint", "-S", b.statefile("f"), "-k"); got.Code != 1 {
		t.Errorf("it was killed: %v", got)
	}
	b.expect("RUNNING")
	c.goesOn()
	b.checkpoint("-S", b.statefile("f")) // its remedy
	c.goesOn()
}

// TestAllObstacles: what can't be saved, and what can't be restarted here, are
// told together.
func TestAllObstacles(t *testing.T) {
	b, _ := busybox(t)
	b.background("lxc-attach", "--", "sleep", "1000")
	harness.Until(t, "lxc-attach", 5*time.Second, func() bool { return strings.Contains(b.attach("ps"), "sleep 1000") })
	config := filepath.Join(b.path, b.name, "config")
	text, err := os.ReadFile(config)
	must(t, err)
	write(t, config, string(text)+"lxc.seccomp.profile = /nosuch/profile\nlxc.net.1.type = veth\nlxc.net.1.link = nosuchbr\n")
	defer write(t, config, string(text))
	told := b.obstacles("lxc-checkpoint", "--check", "--json")
	for _, want := range []string{"(sleep)", "lxc.seccomp.profile", "nosuchbr"} {
		if !slices.ContainsFunc(told, func(r *refusal.Refusal) bool { return strings.Contains(r.Error(), want) && r.Remedy != "" }) {
			t.Errorf("%s is not among %v", want, told)
		}
	}
}
