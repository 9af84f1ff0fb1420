package lxc

import (
	"strings"
	"testing"
)

// TestOwnMounts: what only the container's mount namespace has is refused by
// name, and nothing is lost without a word.
func TestOwnMounts(t *testing.T) {
	b, c := busybox(t)
	for _, k := range []struct{ make, undo, want string }{
		{"mkdir -p /mnt && mount -t tmpfs none /mnt", "umount /mnt", "mount /mnt: tmpfs: it was made inside the container"},
		{"echo text >/dev/shm/file", "rm /dev/shm/file", "mount /dev/shm: tmpfs: it ends with the container, and 1 files in it, the first /dev/shm/file"},
		{"mkdir /dev/shm/d && mkfifo /dev/shm/d/fifo", "rm -r /dev/shm/d", "the first /dev/shm/d/fifo"},
	} {
		b.attach("sh", "-c", k.make)
		got := b.tool("lxc-checkpoint", "-k", "-S", b.statefile("f"))
		if got.Code != 1 || !strings.Contains(got.Stderr, k.want) {
			t.Errorf("%s: the message should have %q: %v", k.make, k.want, got)
		}
		b.expect("RUNNING")
		c.goesOn()
		b.attach("sh", "-c", k.undo)
	}
	b.checkpoint("-k", "-S", b.statefile("f"))
	b.restart("-S", b.statefile("f"))
	c.goesOn()
}

// TestMountGone: a restart names a mount that the container had and the config
// makes no longer.
func TestMountGone(t *testing.T) {
	b, c := busybox(t, "lxc.mount.entry = tmpfs mnt tmpfs size=8m,create=dir 0 0")
	b.checkpoint("-k", "-S", b.statefile("f"))
	b.edit("config", "lxc.mount.entry = tmpfs mnt", "# lxc.mount.entry = tmpfs mnt")
	got := b.tool("lxc-restart", "-S", b.statefile("f"))
	if got.Code != 1 || !strings.Contains(got.Stderr, "had tmpfs mounted on /mnt") || !strings.Contains(got.Stderr, "is stopped") {
		t.Errorf("the message should name the mount: %v", got)
	}
	b.expect("STOPPED")
	b.edit("config", "# lxc.mount.entry = tmpfs mnt", "lxc.mount.entry = tmpfs mnt")
	b.restart("-S", b.statefile("f"))
	c.goesOn()
}
