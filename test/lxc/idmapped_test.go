package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// ownUsers are lines of a config that give a container users of its own.
// Who may get to its directory are then others, too.
func ownUsers(t *testing.T, lines ...string) []string {
	t.Helper()
	harness.WriteIDMaps(t)
	return append(harness.IDMapLines(), lines...)
}

// open lets the users of a container into its directory.
func (b *box) open() {
	b.t.Helper()
	must(b.t, os.Chmod(b.path, 0o755))
}

// people is a world of a busybox container with several users: their processes,
// files, FIFOs, sockets and a terminal, settings of cgroups.
const people = `#!/bin/sh
ifconfig lo up
cd /dev/shm
mkdir -p shared && chmod 1777 shared && chown 3:4 shared
echo secret >of1000 && chown 1000:1000 of1000 && chmod 4640 of1000
mkfifo fifo && chown 65534:65534 fifo
ln -s of1000 link && chown -h 7:8 link
su -s /bin/sh one -c 'umask 077; echo mine >shared/mine; sleep 100000 | nc -l -p 7000 >shared/heard' &
sleep 1
su -s /bin/sh two -c '(i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done) | nc 127.0.0.1 7000' &
su -s /bin/sh one -c 'while :; do cat /dev/shm/fifo >>/dev/shm/shared/through; done' &
(echo through the fifo >fifo; exec sleep 100000) &
echo ready >/people.ready
while :; do sleep 1; done
`

// peopleWorld is what of it is to be as it was.
const peopleWorld = `
cat /proc/self/uid_map /proc/self/gid_map
for p in /proc/[0-9]*; do
	case "$(cat $p/comm 2>/dev/null)" in init|nc|syslogd|getty|count|people|cat) grep -E '^(Name|Pid|PPid|Uid|Gid|Groups|Cap)' $p/status;; esac
done
ls -lanR /dev/shm | grep -v heard
cat /dev/shm/of1000 /dev/shm/shared/mine /dev/shm/shared/through
netstat -tan | grep 7000 | awk '{print $1, $4, $5, $6}' | sort
cut -d' ' -f5- /proc/1/mountinfo | sed 's/\(shared\|master\):[0-9]*/\1/' | sort
cat /proc/1/limits /proc/1/oom_score_adj /proc/1/loginuid
ls -ln /dev/log /dev/pts /dev/tty1
`

// TestBusyboxIDMapped: a container with users of its own (lxc.idmap), of whom
// several run programs: ten times live, then killed and restarted. From inside all
// is as it was. With another map in the config it is refused, with both.
func TestBusyboxIDMapped(t *testing.T) {
	b := createBusybox(t, ownUsers(t)...)
	b.open()
	write(t, filepath.Join(b.rootfs, "bin/people"), people)
	must(t, os.Chmod(filepath.Join(b.rootfs, "bin/people"), 0o755))
	must(t, os.Chmod(filepath.Join(b.rootfs), 0o777)) // busybox's counter writes there
	add := func(file, text string) {
		f, err := os.OpenFile(filepath.Join(b.rootfs, file), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
		must(t, err)
		_, err = f.WriteString(text)
		must(t, err)
		must(t, f.Close())
	}
	add("etc/passwd", "one:x:1000:1000::/:/bin/sh\ntwo:x:2000:2000::/:/bin/sh\n")
	add("etc/group", "one:x:1000:\ntwo:x:2000:\nboth:x:3000:one,two\n")
	add("etc/inittab", "::respawn:/bin/people\n")
	b.start()
	c := &counter{b: b, file: "counter.log"}
	c.goesOn()
	b.settle()
	heard := func() string { return b.attach("cat", "/dev/shm/shared/heard") }
	harness.Until(t, "the people to talk", 30*time.Second, func() bool {
		return b.lxc("lxc-attach", "--", "test", "-s", "/dev/shm/shared/heard", "-a", "-s", "/dev/shm/shared/through").Code == 0
	})
	before := b.attach("sh", "-c", peopleWorld)
	for _, want := range []string{fmt.Sprint(harness.FirstID), "-rwSr-----", "ESTABLISHED", "through the fifo"} {
		if !strings.Contains(before, want) {
			t.Fatalf("the world that is compared lacks %q:\n%s", want, before)
		}
	}
	same := func(when string) {
		t.Helper()
		c.goesOn()
		was := len(heard())
		harness.Until(t, "what one says to the other, "+when, 20*time.Second, func() bool { return len(heard()) > was })
		for i, line := range strings.Fields(heard()) {
			if line != fmt.Sprint(i+1) {
				t.Fatalf("%s: line %d of what was said is %q", when, i+1, line)
			}
		}
		if after := b.attach("sh", "-c", peopleWorld); after != before {
			t.Fatalf("%s the world is another one:\n%s", when, diffLines(before, after))
		}
	}
	for round := range 10 {
		b.checkpoint("-S", b.statefile(fmt.Sprint(round)))
	}
	same("after ten checkpoints")
	if got := b.tool("lxc-checkpoint", "--check"); got.Code != 0 {
		t.Errorf("it could be taken ten times, and %v", got)
	}
	file := b.statefile("killed")
	for round := range harness.Rounds(2, 10) {
		b.checkpoint("-S", file, "-k")
		b.expect("STOPPED")
		if round == 0 {
			b.otherMap(file)
		}
		if got := b.tool("lxc-restart", "--check", "-S", file); got.Code != 0 {
			t.Errorf("it was killed, and %v", got)
		}
		// Who has logged in is another one than who started it: in it, nobody may say so.
		harness.Must(t, "sh", "-c", `[ ! -e /proc/self/loginuid ] || echo 0 >/proc/self/loginuid; exec "$0" "$@"`,
			harness.Tool(t, "lxc-restart"), "-P", b.path, "-n", b.name, "-S", file)
		same(fmt.Sprintf("after restart %d", round))
	}
	b.console(1)
	b.must("lxc-stop")
	b.expect("STOPPED")
}

// otherMap sees that a restart with another map of ids is refused.
func (b *box) otherMap(file string) {
	b.t.Helper()
	had := harness.IDMapLines()[0]
	for other, words := range map[string]string{
		strings.Replace(had, fmt.Sprint(harness.FirstID), "300000", 1): "lxc.idmap = u 0 300000",
		"": "no lxc.idmap",
	} {
		b.edit("config", had+"\n", other+"\n")
		for _, args := range [][]string{{"-S", file}, {"-S", file, "--check"}} {
			got := b.tool("lxc-restart", args...)
			if got.Code != 1 || !strings.Contains(got.Stderr, had) || !strings.Contains(got.Stderr, words) {
				b.t.Errorf("with another map: %v", got)
			}
		}
		if other == "" {
			b.edit("config", "\n\n"+harness.IDMapLines()[1], "\n"+had+"\n"+harness.IDMapLines()[1])
			continue
		}
		b.edit("config", other+"\n", had+"\n")
	}
	b.expect("STOPPED")
}

// TestSystemdIDMapped: a Debian with systemd whose root is an ordinary user of the
// host, its root file system id-mapped for it.
func TestSystemdIDMapped(t *testing.T) {
	b := debianSystemd(t, harness.DebianPackages, ownUsers(t,
		"lxc.include = /usr/share/lxc/config/userns.conf",
		"lxc.rootfs.options = idmap=container")...)
	b.open()
	// Which nobody may mount in such a container: Debian's templates leave it out.
	must(t, os.Symlink("/dev/null", filepath.Join(b.rootfs, "etc/systemd/system/sys-kernel-debug.mount")))
	b.sandboxed()
	b.start()
	b.running()
	harness.Until(t, "the services", 30*time.Second, func() bool { return len(b.lines("var/log/counter")) > 5 && len(b.lines("var/log/ticks")) > 0 })
	b.attach("redis-cli", "SET", "kept", "through all rounds")
	for round := range harness.Rounds(3, 10) {
		before := b.systemdWorld()
		ticks := len(b.lines("var/log/ticks"))
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-p", "-S", file)
		b.must("lxc-unfreeze")
		b.counts()
		b.checkpoint("-k", "-S", file)
		b.expect("STOPPED")
		b.restart("-S", file)
		b.counts()
		b.grows("var/log/ticks", ticks)
		b.running()
		if after := b.systemdWorld(); after != before {
			t.Fatalf("round %d: the container's world is another one:\n%s", round, diffLines(before, after))
		}
	}
	b.attach("loginctl", "list-sessions")
	b.attach("systemctl", "restart", "cron", "counter", "redis-server")
	b.attach("systemd-run", "--wait", "-q", "-p", "PrivateTmp=yes", "-p", "DynamicUser=yes", "true")
	b.running()
	b.console(0)
	b.must("lxc-stop")
	b.expect("STOPPED")
}

// TestIDMappedWithoutLXC: such a container of LXC's is restarted natively, its root
// file system id-mapped again: what it writes belongs to its users.
func TestIDMappedWithoutLXC(t *testing.T) {
	b := newBox(t, "plain")
	b.open()
	for _, dir := range []string{"dev", "proc", "sys", "home", "bin"} {
		must(t, os.MkdirAll(filepath.Join(b.rootfs, dir), 0o755))
	}
	must(t, os.Chmod(filepath.Join(b.rootfs, "home"), 0o1777))
	harness.Must(t, "cp", "/bin/busybox", filepath.Join(b.rootfs, "bin/busybox"))
	must(t, os.Symlink("busybox", filepath.Join(b.rootfs, "bin/sh")))
	write(t, filepath.Join(b.rootfs, "bin/count"), `#!/bin/sh
exec </dev/null >/home/log 2>&1
i=0
while :; do i=$((i+1)); echo $i; echo $i >/home/new; busybox mv /home/new /home/file; busybox sleep 0.05; done
`)
	must(t, os.Chmod(filepath.Join(b.rootfs, "bin/count"), 0o755))
	write(t, filepath.Join(b.path, b.name, "config"), strings.Join(append([]string{
		"lxc.uts.name = " + b.name, "lxc.rootfs.path = dir:" + b.rootfs, "lxc.init.cmd = /bin/count", "lxc.net.0.type = empty",
		"lxc.tty.max = 0", "lxc.console.path = none", "lxc.autodev = 1", "lxc.mount.auto = proc:mixed sys:mixed",
	}, ownUsers(t, "lxc.rootfs.options = idmap=container")...), "\n")+"\n")
	b.start()
	c := &counter{b: b, file: "home/log"}
	c.goesOn()
	file := b.statefile("f")
	b.checkpoint("-S", file, "-k")
	b.expect("STOPPED")
	c.stands()
	for round := range 2 {
		g, err := harness.NewCgroup(need.Freezers()[0], fmt.Sprintf("%s-%d", b.name, round))
		must(t, err)
		t.Cleanup(func() { must(t, g.Remove()) })
		if got := harness.Run(t, harness.Tool(t, "lxc-restart"), "--native", "--check", "--cgroup="+g.Dir, "-n", b.name, "-S", file); got.Code != 0 {
			t.Errorf("it was killed, and %v", got)
		}
		harness.Must(t, "sh", "-c", `[ ! -e /proc/self/loginuid ] || echo 0 >/proc/self/loginuid; exec "$0" "$@"`,
			harness.Tool(t, "lxc-restart"), "--native", "--cgroup="+g.Dir, "-n", b.name, "-S", file)
		c.goesOn()
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(b.rootfs, "home/file"), &st); err != nil || st.Uid != 0 {
			t.Fatalf("round %d: what its root writes belongs to user %d of the file system (%v)", round, st.Uid, err)
		}
		harness.Silent(t, "lxc-checkpoint", "--cgroup="+g.Dir, "-S", file, "-k")
		c.stands()
	}
}
