package lxc

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// world is what a container sees of its mounts and of the files in its
// tmpfs: as text that two looks have in common, if nothing has changed.
func world(b *box) string {
	b.t.Helper()
	mounts := b.attach("cat", "/proc/1/mountinfo")
	var lines []string
	groups := map[string]string{}
	id := regexp.MustCompile(`(shared|master|propagate_from):\d+`)
	terminal := regexp.MustCompile(`^/\d+ (/dev/console) `)
	for line := range strings.Lines(mounts) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 4) // without numbers of mounts and devices
		// Which of the host's terminals LXC takes for the console depends on who
		// else has some.
		lines = append(lines, terminal.ReplaceAllString(f[3], "/N $1 "))
	}
	slices.Sort(lines)
	for i := range lines { // groups are numbered anew
		lines[i] = id.ReplaceAllStringFunc(lines[i], func(s string) string {
			kind, number, _ := strings.Cut(s, ":")
			if groups[number] == "" {
				groups[number] = string(rune('A' + len(groups)))
			}
			return kind + ":" + groups[number]
		})
	}
	// But for what others are mounted on: that shows them.
	const tree = `cd /; for top in /dev /run /mnt; do find $top -xdev | sort | while read -r f; do
		[ $f != $top ] && grep -q " $f " /proc/mounts && continue
		stat -c '%n %f %u:%g %t:%T %h %Y' "$f"; [ -f "$f" ] && md5sum "$f"; [ -L "$f" ] && readlink "$f"; done; done; true`
	return strings.Join(lines, "\n") + "\n" + b.attach("sh", "-c", tree)
}

// TestOwnMounts: what programs have mounted in the container after its start,
// and what lies in its tmpfs and in LXC's own /dev, is there again.
func TestOwnMounts(t *testing.T) {
	b, c := busybox(t)
	for _, command := range []string{
		"mkdir -p /mnt /run && mount -t tmpfs -o size=4m,nosuid none /mnt && mount -t tmpfs run /run",
		"mkdir /mnt/d && dd if=/dev/urandom of=/mnt/d/data bs=1000 count=300 2>/dev/null && ln /mnt/d/data /mnt/link && ln -s nowhere /mnt/d/symlink",
		"mkfifo -m 640 /mnt/fifo && mknod /mnt/null c 1 3 && chown 12:34 /mnt/d && touch -d '2001-02-03 04:05:06' /mnt/d",
		"echo text >/dev/shm/file; mkfifo /dev/shm/fifo; ln -s /run/x /dev/x; mkdir /dev/mine; mount -t mqueue mqueue /dev/mine",
		"mkdir /run/b /run/ro && mount -o bind /mnt/d /run/b && mount -o bind /etc /run/ro && mount -o remount,bind,ro /run/ro",
		"mount --bind /mnt /mnt && echo over >/mnt/new; mkdir /run/p; mount -t proc proc /run/p",
		"mount -t ramfs none /run/b && echo secret >/run/b/credential",
		"mount --make-shared /mnt; mkdir /run/slave; mount -o bind /mnt /run/slave; mount --make-slave /run/slave",
	} {
		b.attach("sh", "-c", command)
	}
	before := world(b)
	for range 2 {
		b.checkpoint("-k", "-S", b.statefile("f"))
		b.restart("-S", b.statefile("f"))
		c.goesOn()
		differ(t, before, world(b))
	}
	b.attach("sh", "-c", "mkdir /mnt/m && mount -t tmpfs late /mnt/m && touch /mnt/m/proof && test -e /run/slave/m/proof")
	b.attach("umount", "/run/b") // what it covered
	b.attach("test", "-e", "/run/b/data")
}

// differ names the first lines in which two texts differ.
func differ(t *testing.T, before, now string) {
	t.Helper()
	a, b := strings.Split(before, "\n"), strings.Split(now, "\n")
	for _, line := range a {
		if !slices.Contains(b, line) {
			t.Errorf("it was there, and is not now: %s", line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			t.Errorf("it is there, and was not: %s", line)
		}
	}
}

// TestUnmounted: what LXC mounts by the config and the container had unmounted
// does not come back.
func TestUnmounted(t *testing.T) {
	b, c := busybox(t, "lxc.mount.entry = tmpfs mnt tmpfs size=8m,create=dir 0 0")
	b.attach("umount", "/mnt")
	before := world(b)
	b.checkpoint("-k", "-S", b.statefile("f"))
	b.restart("-S", b.statefile("f"))
	c.goesOn()
	differ(t, before, world(b))
}

// TestMountGone: a restart names a mount that the container had from outside and
// the config makes no longer.
func TestMountGone(t *testing.T) {
	outside := t.TempDir()
	entry := "lxc.mount.entry = " + outside + " mnt none bind,create=dir 0 0"
	b, c := busybox(t, entry)
	b.checkpoint("-k", "-S", b.statefile("f"))
	b.edit("config", entry, "# "+entry)
	got := b.tool("lxc-restart", "-S", b.statefile("f"))
	if got.Code != 1 || !strings.Contains(got.Stderr, "mounted on /mnt, and now it has not") || !strings.Contains(got.Stderr, "is stopped") {
		t.Errorf("the message should name the mount: %v", got)
	}
	b.expect("STOPPED")
	b.edit("config", "# "+entry, entry)
	b.restart("-S", b.statefile("f"))
	c.goesOn()
}
