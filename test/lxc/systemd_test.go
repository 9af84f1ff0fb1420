package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// debianSystemd makes a container of Debian with systemd as it is installed and
// LXC's own config for Debian, but for the network, which this machine lacks. Its
// redis-server has a user namespace of its own (PrivateUsers). lines are added to the
// config.
func debianSystemd(t *testing.T, packages string, lines ...string) *box {
	t.Helper()
	const common = "/usr/share/lxc/config/debian.common.conf"
	need.Check(t, need.File(common, "test/install-needs.sh installs lxc-templates, which has it"))
	cached := harness.DebianRootfs(t, packages)
	b := newBox(t, "systemd")
	if err := os.MkdirAll(b.rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	harness.Must(t, "cp", "-a", "--reflink=auto", cached+"/.", b.rootfs)
	write(t, filepath.Join(b.path, b.name, "config"), strings.Join(append([]string{
		"lxc.include = " + common,
		"lxc.arch = linux64",
		"lxc.uts.name = " + b.name,
		"lxc.rootfs.path = dir:" + b.rootfs,
		"lxc.net.0.type = empty",
	}, lines...), "\n")+"\n")
	return b
}

// unit writes a unit of systemd's, which a target wants unless that is empty.
func (b *box) unit(name, target, text string) {
	b.t.Helper()
	units := filepath.Join(b.rootfs, "etc/systemd/system")
	write(b.t, filepath.Join(units, name), text)
	if target == "" {
		return
	}
	wants := filepath.Join(units, target+".wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Symlink("/etc/systemd/system/"+name, filepath.Join(wants, name)); err != nil {
		b.t.Fatal(err)
	}
}

// sandboxed are a service with a sandbox and limits of its own, and a timer.
func (b *box) sandboxed() {
	b.t.Helper()
	b.unit("counter.service", "multi-user.target", `[Service]
ExecStart=/bin/sh -c 'i=0; while :; do i=$((i+1)); echo $i >>/var/log/counter; echo $i >/tmp/private; sleep 0.05; done'
PrivateTmp=yes
ProtectSystem=full
LimitNOFILE=333
`)
	b.unit("tick.timer", "timers.target", "[Timer]\nOnActiveSec=1s\nOnUnitActiveSec=1s\nAccuracySec=100ms\n")
	b.unit("tick.service", "", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo tick >>/var/log/ticks'\n")
}

// systemd makes and starts such a container with some services more: one with a
// filter of packets (BPF programs with maps, as those have that talk to nobody).
func systemd(t *testing.T) *box {
	t.Helper()
	b := debianSystemd(t, harness.DebianPackages)
	b.sandboxed()
	b.unit("guarded.service", "multi-user.target", `[Service]
ExecStart=/usr/bin/python3 -u /usr/local/bin/guarded
IPAddressAllow=127.0.0.1/32
IPAddressDeny=any
IPAccounting=yes
StandardOutput=append:/var/log/guarded
`)
	write(t, filepath.Join(b.rootfs, "usr/local/bin/guarded"), `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.sendto(b"x", ("127.0.0.1", 9))
    try:
        s.sendto(b"x", ("127.0.0.2", 9))
        print("unguarded")
    except PermissionError:
        print("guarded")
    except ConnectionRefusedError:
        pass
    time.sleep(0.05)
`)
	b.start()
	b.running()
	return b
}

// running waits until systemd says that all is well.
func (b *box) running() {
	b.t.Helper()
	var last string
	if !harness.Wait(time.Minute, func() bool {
		last = strings.TrimSpace(b.lxc("lxc-attach", "--", "systemctl", "is-system-running").Stdout)
		return last == "running"
	}) {
		b.t.Fatalf("systemctl is-system-running says %q\n%s", last, b.lxc("lxc-attach", "--", "systemctl", "--failed", "--no-pager"))
	}
}

// lines are those of a file of the container.
func (b *box) lines(file string) []string {
	text, _ := os.ReadFile(filepath.Join(b.rootfs, file))
	return strings.Fields(string(text))
}

// grows waits until a file has more lines than before.
func (b *box) grows(file string, before int) {
	b.t.Helper()
	harness.Until(b.t, file+" to grow", 30*time.Second, func() bool { return len(b.lines(file)) > before })
}

// counts sees that the counter's file has every number, once.
func (b *box) counts() {
	b.t.Helper()
	lines := b.lines("var/log/counter")
	b.grows("var/log/counter", len(lines))
	for i, line := range b.lines("var/log/counter") {
		if line != strconv.Itoa(i+1) {
			b.t.Fatalf("line %d of the counter's file is %q", i+1, line)
		}
	}
}

// guarded sees that a service's filter of packets lets through what it should, is
// still told apart by systemd, and goes on counting from sent.
func (b *box) guarded(sent int) int {
	b.t.Helper()
	b.grows("var/log/guarded", len(b.lines("var/log/guarded")))
	for _, line := range b.lines("var/log/guarded") {
		if line != "guarded" {
			b.t.Fatal("a packet came through that the service must not send")
		}
	}
	now, err := strconv.Atoi(strings.TrimSpace(b.attach("systemctl", "show", "-p", "IPEgressPackets", "--value", "guarded")))
	if err != nil || now <= sent {
		b.t.Fatalf("systemd has counted %d packets, and then %d: %v", sent, now, err)
	}
	return now
}

// systemdWorld is what of the container must be after a restart as it was.
func (b *box) systemdWorld() string {
	b.t.Helper()
	const script = `
systemctl list-units --no-pager --plain --no-legend --state=active --type=service,socket,timer,mount | awk '{print $1, $4}' | sed 's,^tick.timer .*,tick.timer,' | grep -v tick.service | sort
for s in counter guarded redis-server systemd-journald systemd-logind dbus cron; do systemctl show -p MainPID,NRestarts,ControlGroup --value $s; done
for s in counter guarded redis-server systemd-journald; do cat /proc/$(systemctl show -p MainPID --value $s)/cgroup; done; cat /proc/1/cgroup
cut -d' ' -f5- /proc/1/mountinfo | sed 's/\(shared\|master\):[0-9]*/\1/' | sort
find /run -xdev ! -path '/run/systemd/journal/*' ! -path '/run/log/*' ! -path /run/agetty.reload ! -path '/run/systemd/units/*' -printf '%p %M %U %G %l\n' | sort
cat /proc/sys/kernel/hostname
redis=/proc/$(systemctl show -p MainPID --value redis-server)
cat $redis/uid_map $redis/gid_map $redis/setgroups
grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Threads)' $redis/status
[ $(readlink $redis/ns/user) = $(readlink /proc/1/ns/user) ] && echo redis is in the user namespace of all
redis-cli GET kept
`
	return b.attach("sh", "-c", script)
}

// TestSystemd: a Debian with systemd, as it comes, goes into a statefile and
// comes back; its services, timers and tools go on, and LXC stops it cleanly.
func TestSystemd(t *testing.T) {
	b := systemd(t)
	harness.Until(t, "the services", 30*time.Second, func() bool { return len(b.lines("var/log/counter")) > 5 && len(b.lines("var/log/ticks")) > 0 })
	b.attach("redis-cli", "SET", "kept", "through all rounds")
	pid := b.attach("systemctl", "show", "-p", "MainPID", "--value", "counter")
	sent := b.guarded(0)
	for round := range harness.Rounds(2, 10) {
		before := b.systemdWorld()
		ticks := len(b.lines("var/log/ticks"))
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-p", "-S", file)
		b.must("lxc-unfreeze")
		b.counts()
		b.checkpoint("-k", "-S", file)
		b.expect("STOPPED")
		b.restart("-S", file)
		b.expect("RUNNING")
		b.counts()
		sent = b.guarded(sent)
		b.running()
		b.grows("var/log/ticks", ticks)
		if after := b.systemdWorld(); after != before {
			t.Fatalf("round %d: the container's world is another one:\n%s", round, diffLines(before, after))
		}
		if now := b.attach("systemctl", "show", "-p", "MainPID", "--value", "counter"); now != pid {
			t.Fatalf("round %d: the service was started anew: process %s, was %s", round, now, pid)
		}
		if private := b.lxc("lxc-attach", "--", "ls", "/tmp/private"); private.Code == 0 {
			t.Errorf("round %d: the service's private /tmp is everybody's", round)
		}
		mark := fmt.Sprintf("mark of round %d", round)
		b.attach("logger", mark)
		harness.Until(t, "the journal to have "+mark, 20*time.Second, func() bool {
			return strings.Contains(b.attach("journalctl", "-n", "50", "--no-pager"), mark)
		})
	}
	b.attach("loginctl", "list-sessions")
	b.attach("systemctl", "restart", "cron")
	b.attach("systemctl", "restart", "guarded") // which takes the filter away, and makes a new one
	b.guarded(0)
	b.attach("systemctl", "restart", "counter")
	b.running()
	b.must("lxc-stop") // by SIGRTMIN+3, which systemd shuts down on
	b.expect("STOPPED")
}

// diffLines shows the lines that two texts do not have in common.
func diffLines(before, after string) string {
	count := map[string]int{}
	for line := range strings.Lines(before) {
		count[line]--
	}
	for line := range strings.Lines(after) {
		count[line]++
	}
	var out strings.Builder
	for line, n := range count {
		switch {
		case n < 0:
			out.WriteString("- " + line)
		case n > 0:
			out.WriteString("+ " + line)
		}
	}
	return out.String()
}
