package lxc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCgroups: cgroups below the container's own come back, those that no
// process is in too, as systemd's slices, with owner and mode.
func TestCgroups(t *testing.T) {
	b, c := busybox(t)
	type cgroup struct {
		dir      string
		mode     uint32
		uid, gid uint32
	}
	var made []cgroup
	for _, hierarchy := range cgroupMounts() {
		for _, own := range b.cgroups(hierarchy) {
			if !strings.Contains(filepath.Base(own), "payload") {
				continue
			}
			made = append(made,
				cgroup{filepath.Join(own, "user.slice"), 0o755, 0, 0},
				cgroup{filepath.Join(own, "user.slice/a b@1000.service"), 0o700, 1000, 1001})
		}
	}
	if len(made) == 0 {
		t.Fatal("the container has no cgroups")
	}
	for _, g := range made {
		if err := os.Mkdir(g.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(g.dir, int(g.uid), int(g.gid)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(g.dir, os.FileMode(g.mode)); err != nil {
			t.Fatal(err)
		}
	}
	b.checkpoint("-k", "-S", b.statefile("f"))
	// A restart that fails when they have been made leaves none.
	log := filepath.Join(b.rootfs, "counter.log")
	if err := os.Rename(log, log+".away"); err != nil {
		t.Fatal(err)
	}
	if got := b.tool("lxc-restart", "-S", b.statefile("f")); got.Code != 1 || !strings.Contains(got.Stderr, "counter.log: it does not exist") {
		t.Errorf("a file is missing, and the restart says: %v", got)
	}
	if left := b.leftovers(); len(left) > 0 {
		t.Errorf("a restart that failed left: %s", strings.Join(left, ", "))
	}
	if err := os.Rename(log+".away", log); err != nil {
		t.Fatal(err)
	}
	b.restart("-S", b.statefile("f"))
	c.goesOn()
	for _, g := range made {
		var st unix.Stat_t
		if err := unix.Stat(g.dir, &st); err != nil {
			t.Errorf("cgroup %s: %v", g.dir, err)
			continue
		}
		if now := (cgroup{g.dir, st.Mode & 0o7777, st.Uid, st.Gid}); now != g {
			t.Errorf("a cgroup is %v, was %v", now, g)
		}
	}
}
