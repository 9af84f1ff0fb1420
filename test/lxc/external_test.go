package lxc

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/test/harness"
)

// plug mounts a directory of the host in a running container, of which its config
// knows nothing.
func (b *box) plug(dir, at string) { b.plugMapped(dir, at, nil) }

// plugMapped does so with a change of the mount before it is there.
func (b *box) plugMapped(dir, at string, change func(tree int) error) {
	b.t.Helper()
	pid := strings.Fields(b.must("lxc-info", "-p", "-H"))[0]
	err := elsewhere.Run(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return err
		}
		defer unix.Close(tree)
		if change != nil {
			if err := change(tree); err != nil {
				return err
			}
		}
		ns, err := unix.Open("/proc/"+pid+"/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(ns)
		if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
			return err
		}
		return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestExternalMount: a directory of the host that was mounted in the running
// container is refused by name, saved by its place only with --external, and at the
// restart what the operator says. A program that works in it goes on there.
func TestExternalMount(t *testing.T) {
	b, c := busybox(t)
	dir := t.TempDir()
	b.attach("mkdir", "-p", "/mnt/plugged")
	b.plug(dir, "/mnt/plugged")
	b.attach("sh", "-c", `cd /mnt/plugged; setsid sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done' >>log 2>/dev/null </dev/null &`)
	log := filepath.Join(dir, "log")
	last := func(file string) int {
		all, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = all[:bytes.LastIndexByte(all, '\n')] // what is being written is none yet
		lines := strings.Split(string(all), "\n")
		for i, line := range lines {
			if n, err := strconv.Atoi(line); err != nil || n != i+1 {
				t.Fatalf("line %d is %q", i+1, line)
			}
		}
		return len(lines)
	}
	harness.Until(t, "lines in the log", 10*time.Second, func() bool {
		all, _ := os.ReadFile(log)
		return bytes.Count(all, []byte("\n")) > 5
	})
	b.settle()
	f := b.statefile("f")
	const option = "--external=mount:/mnt/plugged"
	if got := b.tool("lxc-checkpoint", "-S", f, "-k"); got.Code != 1 || !strings.Contains(got.Stderr, "mount /mnt/plugged") || !strings.Contains(got.Stderr, "--external mount:/mnt/plugged") {
		t.Fatalf("it should be refused: %v", got)
	}
	if got := b.tool("lxc-checkpoint", "-S", f, option, "--external=mount:/proc"); got.Code != 1 || !strings.Contains(got.Stderr, "a restart mounts that again by itself") {
		t.Fatalf("/proc should be refused: %v", got)
	}
	b.checkpoint("-S", f, option, "-k")
	before := last(log)
	moved := dir + ".moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	defer os.Rename(moved, dir)
	for _, args := range [][]string{{"--check"}, nil} {
		if got := b.tool("lxc-restart", append(args, "-S", f)...); got.Code != 1 || !strings.Contains(got.Stderr, "--external 'mount:/mnt/plugged'=PATH") {
			t.Fatalf("%v should ask for it: %v", args, got)
		}
	}
	if got := b.tool("lxc-restart", "-S", f, option+"="+dir); got.Code != 1 || !strings.Contains(got.Stderr, dir) {
		t.Fatalf("there is nothing: %v", got)
	}
	b.restart("-S", f, option+"="+moved)
	c.goesOn()
	harness.Until(t, "further lines in the log", 10*time.Second, func() bool { return last(filepath.Join(moved, "log")) > before+5 })
	if got := b.attach("cat", "/mnt/plugged/log"); !strings.HasPrefix(got, "1\n2\n") {
		t.Errorf("inside there is %q", got)
	}
	b.checkpoint("-S", b.statefile("g"), option, "-k") // again
	b.restart("-S", b.statefile("g"), option+"="+moved)
	c.goesOn()
}

// TestExternalIDMapped: the same of an id-mapped mount. It gets its map again; what the
// operator has mapped at the restart stays as it is.
func TestExternalIDMapped(t *testing.T) {
	b, c := busybox(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("x\n"), 0o644))
	b.attach("mkdir", "-p", "/mnt/plugged")
	users, err := elsewhere.UserNamespace("0 7000 1\n", "0 8000 1\n")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(users)
	b.plugMapped(dir, "/mnt/plugged", func(tree int) error {
		return unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users)})
	})
	const look, want = "stat -c %u:%g /mnt/plugged/file; grep -c ' /mnt/plugged .*idmapped' /proc/self/mountinfo", "7000:8000\n1"
	if got := b.attach("sh", "-c", look); got != want {
		t.Fatalf("it should be %q, and is %q", want, got)
	}
	b.settle()
	f := b.statefile("f")
	const option = "--external=mount:/mnt/plugged"
	for range 2 {
		b.checkpoint("-S", f, option, "-k")
		b.restart("-S", f, option+"="+dir)
		c.goesOn()
		if got := b.attach("sh", "-c", look); got != want {
			t.Errorf("it was %q, and is %q", want, got)
		}
	}
}
