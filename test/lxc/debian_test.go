package lxc

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestDebianKill: killed and restarted again and again, from the same
// container; then LXC stops and starts it as ever.
func TestDebianKill(t *testing.T) {
	b, p := debian(t)
	for round := range harness.Rounds(2, 20) {
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-S", file, "-k")
		b.expect("STOPPED")
		p.stands()
		b.restart("-S", file)
		b.expect("RUNNING")
		p.goesOn()
		p.same()
		if need.Zstd.Missing() == nil {
			harness.Must(t, "zstd", "-q", "-t", file)
		}
		harness.Must(t, harness.Tool(t, "lxc-statefile"), "verify", file)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	p.redis.save()
	b.must("lxc-stop")
	b.expect("STOPPED")
	if left := b.leftovers(); len(left) > 0 {
		t.Errorf("after lxc-stop: %s", strings.Join(left, ", "))
	}
	counts := filepath.Join(b.rootfs, "srv/counts")
	if err := os.RemoveAll(counts); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(counts, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range p.counters {
		c.mark = 0
	}
	b.start()
	b.expect("RUNNING")
	p.goesOn()
	p.redis.await()
	p.redis.check()
}

// TestDebianPause: left frozen as lxc-freeze leaves it, both by the checkpoint
// and by the restart.
func TestDebianPause(t *testing.T) {
	b, p := debian(t)
	for round := range harness.Rounds(1, 20) {
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-p", "-S", file)
		b.expect("FROZEN")
		p.stands()
		b.must("lxc-unfreeze")
		b.expect("RUNNING")
		p.goesOn()
		p.same()

		b.checkpoint("-k", "-S", file)
		b.restart("-p", "-S", file)
		b.expect("FROZEN")
		p.stands()
		b.must("lxc-unfreeze")
		b.expect("RUNNING")
		p.goesOn()
		p.same()
	}
}

// TestDebianGoesOn: neither -k nor -p, while it runs and while it is frozen,
// which it stays. The statefile of a container that was frozen is as good as
// any.
func TestDebianGoesOn(t *testing.T) {
	b, p := debian(t)
	for round := range harness.Rounds(1, 20) {
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-S", file)
		b.expect("RUNNING")
		p.goesOn()
		p.same()
		harness.Must(t, harness.Tool(t, "lxc-statefile"), "verify", file)

		b.must("lxc-freeze")
		b.checkpoint("-S", file)
		b.expect("FROZEN")
		p.stands()
		b.must("lxc-unfreeze")
		b.expect("RUNNING")
		p.goesOn()
		p.same()

		b.must("lxc-freeze")
		b.checkpoint("-k", "-S", file)
		b.expect("STOPPED")
		p.stands()
		b.restart("-S", file)
		b.expect("RUNNING")
		p.goesOn()
		p.same()
	}
}

// TestDebianPipe: lxc-checkpoint -d 1 -k | lxc-restart -d 0.
func TestDebianPipe(t *testing.T) {
	b, p := debian(t)
	for range harness.Rounds(1, 20) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var complaints bytes.Buffer
		restart := exec.Command(harness.Tool(t, "lxc-restart"), "-P", b.path, "-n", b.name, "-d", "0")
		restart.Stdin, restart.Stderr, restart.WaitDelay = r, &complaints, time.Second
		if err := restart.Start(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		got := harness.RunWith(t, func(c *exec.Cmd) { c.Stdout = w }, harness.Tool(t, "lxc-checkpoint"), "-P", b.path, "-n", b.name, "-d", "1", "-k")
		w.Close()
		err = restart.Wait()
		if got.Code != 0 || got.Stderr != "" || err != nil || complaints.Len() > 0 {
			t.Fatalf("%v\nlxc-restart: %v\n%s", got, err, complaints.String())
		}
		b.expect("RUNNING")
		p.goesOn()
		p.same()
	}
}

// TestDebianSaving: killed while a child of redis, which shares its memory,
// writes that into a file; after the restart the child writes the rest.
func TestDebianSaving(t *testing.T) {
	b, p := debian(t)
	for round := range harness.Rounds(1, 20) {
		file := b.statefile(fmt.Sprint(round))
		var before os.FileInfo
		servers := 0
		for tries := 0; servers != 2; tries++ {
			if tries == 10 {
				t.Fatalf("redis had finished before the checkpoint, ten times: there are %d processes of it", servers)
			}
			before = p.redis.saved()
			p.redis.write()
			p.redis.saveSoon()
			harness.Until(t, "redis to save by itself", 20*time.Second, p.redis.saving)
			b.checkpoint("-k", "-S", file)
			servers = 0
			for _, process := range show(t, file).Processes {
				if process.Name == "redis-server" {
					servers++
				}
			}
			b.restart("-S", file)
		}
		p.goesOn()
		p.redis.cli("CONFIG", "SET", "save", "")
		p.redis.awaitSave(before)
		b.attach("redis-check-rdb", "/var/lib/redis/dump.rdb")
		p.same()
	}
}

// TestDebianOverlay: on an overlay, as LXC makes it for lxc-copy -s. What the
// container writes lies in the upper directory.
func TestDebianOverlay(t *testing.T) {
	lower := harness.DebianRootfs(t, harness.DebianPackages)
	b := newBox(t, "debian")
	if err := os.MkdirAll(b.rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	requireOverlay(t, b.path)
	installPrograms(t, b.rootfs)
	b.configure("overlay:" + lower + ":" + b.rootfs)
	b.start()
	p := watch(b)
	for round := range harness.Rounds(1, 20) {
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-k", "-S", file)
		b.expect("STOPPED")
		p.stands()
		b.restart("-S", file)
		b.expect("RUNNING")
		p.goesOn()
		p.same()
	}
	b.must("lxc-stop")
}

// requireOverlay ends the test where an overlay of directories below this one
// can't be mounted.
func requireOverlay(t *testing.T, dir string) {
	t.Helper()
	at := filepath.Join(dir, "overlay")
	var options []string
	for _, name := range []string{"lowerdir", "upperdir", "workdir"} {
		sub := filepath.Join(at, name)
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		options = append(options, name+"="+sub)
	}
	err := unix.Mount("overlay", at, "overlay", 0, strings.Join(options, ","))
	switch {
	case err == nil:
		if err := unix.Unmount(at, 0); err != nil {
			t.Fatal(err)
		}
	case need.InCI():
		t.Fatalf("needs an overlay (in CI nothing may be missing): %v", err)
	default:
		t.Skipf("needs an overlay, which can't be mounted on %s: %v", dir, err)
	}
}

// TestDebianConnected: a client of redis keeps its connection. With --tcp-refuse
// both ends of it are refused by name, and nothing is written.
func TestDebianConnected(t *testing.T) {
	b, p := debian(t)
	b.attach("sh", "-c", `(setsid python3 -c '
import socket, time
s = socket.create_connection(("127.0.0.1", 6379))
for i in range(1000000):
    s.sendall(b"INCR connected\r\n")
    assert s.recv(100) == b":%d\r\n" % (i + 1)
    print(i, flush=True)
    time.sleep(0.02)
' </dev/null >/srv/connected 2>&1 &)`)
	answers := func() int {
		text, err := os.ReadFile(filepath.Join(b.rootfs, "srv/connected"))
		if err != nil || strings.Contains(string(text), "Error") {
			t.Fatalf("the client: %s (%v)", text, err)
		}
		return strings.Count(string(text), "\n")
	}
	goesOn := func() {
		t.Helper()
		before := answers()
		harness.Until(t, "the client to get answers", 10*time.Second, func() bool { return answers() > before+3 })
	}
	goesOn()
	file := b.statefile("f")
	for _, option := range []string{"-k", "-p", "-q"} {
		got := b.tool("lxc-checkpoint", option, "--tcp-refuse", "-S", file)
		lines := 0
		for line := range strings.Lines(got.Stderr) {
			if strings.Contains(line, "TCP") && (strings.Contains(line, "redis-server") || strings.Contains(line, "python3")) {
				lines++
			}
		}
		if got.Code != 1 || lines < 2 || !strings.Contains(got.Stderr, b.name+" still runs; nothing was written") {
			t.Errorf("it should be refused, with a line each for redis-server and python3: %v", got)
		}
		b.expect("RUNNING")
		p.goesOn()
		goesOn()
		if files, _ := filepath.Glob(filepath.Join(b.states, "*")); len(files) > 0 {
			t.Errorf("there is %v", files)
		}
	}
	for range harness.Rounds(2, 20) {
		b.checkpoint("-k", "-S", file)
		b.expect("STOPPED")
		b.restart("-S", file)
		p.goesOn()
		goesOn()
	}
}
