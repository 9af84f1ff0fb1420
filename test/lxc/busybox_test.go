// Package lxc checkpoints and restarts real containers of stock LXC under
// LXC's own commands.
package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// busybox makes and starts a container of LXC's busybox template with the
// template's config as it is, but for the network; a shell counts in it.
func busybox(t *testing.T, config ...string) (*box, *counter) {
	t.Helper()
	b := createBusybox(t, config...)
	b.start()
	b.expect("RUNNING")
	c := &counter{b: b, file: "counter.log"}
	c.goesOn()
	b.settle()
	return b, c
}

func createBusybox(t *testing.T, config ...string) *box {
	t.Helper()
	b := newBox(t, "bb")
	lines := append([]string{
		"lxc.net.0.type = empty",
		"lxc.apparmor.profile = generated", // as Debian's default.conf has it
		"lxc.apparmor.allow_nesting = 1",
	}, config...)
	conf := filepath.Join(b.path, "conf")
	write(t, conf, strings.Join(lines, "\n")+"\n")
	b.must("lxc-create", "-f", conf, "-t", "busybox")
	write(t, filepath.Join(b.rootfs, "bin/count"), `#!/bin/sh
exec >/counter.log
i=0
while :; do i=$((i+1)); echo $i; sleep 0.02; done
`)
	if err := os.Chmod(filepath.Join(b.rootfs, "bin/count"), 0o755); err != nil {
		t.Fatal(err)
	}
	inittab, err := os.OpenFile(filepath.Join(b.rootfs, "etc/inittab"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer inittab.Close()
	if _, err := fmt.Fprintln(inittab, "::respawn:/bin/count"); err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// settle waits until init has started everything: syslogd, getty, a console.
func (b *box) settle() {
	b.t.Helper()
	harness.Until(b.t, "busybox's init to start syslogd and getty", 10e9, func() bool {
		all := b.ps()
		now := strings.Join(all, "\n")
		// It is forked first, and leads a session then.
		leads := slices.ContainsFunc(all, func(line string) bool {
			f := strings.Fields(line) // "4 syslogd group 4 session 4 ..."
			return len(f) > 5 && f[1] == "syslogd" && f[0] == f[5]
		})
		return leads && strings.Contains(now, " getty ") && !strings.Contains(now, "udhcpc")
	})
}

// same fails unless the container's processes are those of before.
func (b *box) same(before []string) {
	b.t.Helper()
	if now := b.ps(); !slices.Equal(now, before) {
		b.t.Fatalf("its processes are\n%s\nand were\n%s", strings.Join(now, "\n"), strings.Join(before, "\n"))
	}
}

// TestBusyboxKill: killed and restarted again and again, from the same
// container; then LXC stops and starts it as ever.
func TestBusyboxKill(t *testing.T) {
	b, c := busybox(t)
	before := b.ps()
	for round := range harness.Rounds(3, 20) {
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-S", file, "-k")
		b.expect("STOPPED")
		c.stands()
		b.restart("-S", file)
		b.expect("RUNNING")
		c.goesOn()
		b.same(before)
		if name := b.attach("hostname"); name != b.name {
			t.Errorf("in the container, the host is called %q", name)
		}
		if need.Zstd.Missing() == nil {
			harness.Must(t, "zstd", "-q", "-t", file)
		}
		harness.Must(t, harness.Tool(t, "lxc-statefile"), "verify", file)
	}
	b.must("lxc-stop")
	b.expect("STOPPED")
	if left := b.leftovers(); len(left) > 0 {
		t.Errorf("after lxc-stop: %s", strings.Join(left, ", "))
	}
	c.mark = 0
	if err := os.Remove(filepath.Join(b.rootfs, c.file)); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.expect("RUNNING")
	c.goesOn()
}

// TestBusyboxPause: left frozen as lxc-freeze leaves it, both by the checkpoint
// and by the restart.
func TestBusyboxPause(t *testing.T) {
	b, c := busybox(t)
	before := b.ps()
	for round := range harness.Rounds(2, 20) {
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-p", "-S", file)
		b.expect("FROZEN")
		c.stands()
		b.must("lxc-unfreeze")
		b.expect("RUNNING")
		c.goesOn()
		b.same(before)

		b.checkpoint("-k", "-S", file)
		b.restart("-p", "-S", file)
		b.expect("FROZEN")
		c.stands()
		b.must("lxc-unfreeze")
		b.expect("RUNNING")
		c.goesOn()
		b.same(before)
	}
}

// TestBusyboxGoesOn: neither -k nor -p; each of the statefiles is whole.
func TestBusyboxGoesOn(t *testing.T) {
	b, c := busybox(t)
	before := b.ps()
	for round := range harness.Rounds(3, 20) {
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-S", file)
		b.expect("RUNNING")
		c.goesOn()
		b.same(before)
		harness.Must(t, harness.Tool(t, "lxc-statefile"), "verify", file)
	}
}

// TestBusyboxFrozen: a container that was frozen stays frozen.
func TestBusyboxFrozen(t *testing.T) {
	b, c := busybox(t)
	before := b.ps()
	for round := range harness.Rounds(2, 20) {
		for _, option := range []string{"-q", "-p"} { // -q: neither -k nor -p
			b.must("lxc-freeze")
			c.stands()
			b.checkpoint(option, "-S", b.statefile(fmt.Sprint(round)))
			b.expect("FROZEN")
			c.stands()
			b.must("lxc-unfreeze")
			b.expect("RUNNING")
			c.goesOn()
			b.same(before)
		}
		b.must("lxc-freeze")
		b.checkpoint("-k", "-S", b.statefile("killed"))
		b.expect("STOPPED")
		b.restart("-S", b.statefile("killed"))
		b.expect("RUNNING")
		c.goesOn()
		b.same(before)
	}
}

// TestBusyboxRepeat: one statefile can be restarted more than once.
func TestBusyboxRepeat(t *testing.T) {
	b, c := busybox(t)
	file := b.statefile("once")
	log := filepath.Join(b.rootfs, c.file)
	b.checkpoint("-k", "-S", file)
	then, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for range harness.Rounds(2, 10) {
		b.restart("-S", file)
		c.goesOn()
		b.must("lxc-stop", "-k")
		b.expect("STOPPED")
		// The statefile does not hold the container's files: they go back, too.
		if err := os.WriteFile(log, then, 0); err != nil {
			t.Fatal(err)
		}
		c.mark = c.look()
	}
}
