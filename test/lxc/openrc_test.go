package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/test/harness"
)

// openrc makes and starts a container in which busybox is the first process and
// OpenRC starts the services, as Alpine has it; but Debian's packages of both and of
// redis, nginx, postgres, sshd, dbus and cron.
func openrc(t *testing.T) *box {
	t.Helper()
	lower := harness.DebianRootfs(t, harness.DebianPackages+harness.DebianServers)
	b := newBox(t, "openrc")
	if err := os.MkdirAll(b.rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	requireOverlay(t, b.path)
	files := map[string]string{
		"etc/inittab": `::sysinit:/sbin/openrc sysinit
::sysinit:/sbin/openrc boot
::wait:/sbin/openrc default
console::respawn:/bin/busybox getty 38400 console
tty1::respawn:/bin/busybox getty 38400 tty1
::shutdown:/sbin/openrc shutdown
`,
		"etc/init.d/ticker": `#!/sbin/openrc-run
supervisor=supervise-daemon
command=/bin/busybox
command_args="sh -c 'i=0; while :; do i=\$((i+1)); echo \$i >>/var/log/counter; sleep 0.05; done'"
`,
		"etc/init.d/syslogd": `#!/sbin/openrc-run
command=/bin/busybox
command_args="syslogd -n -O /var/log/messages"
command_background=yes
pidfile=/run/syslogd.pid
`,
	}
	for name, text := range files {
		path := filepath.Join(b.rootfs, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text)
		if filepath.Base(filepath.Dir(path)) != "init.d" {
			continue
		}
		level := filepath.Join(b.rootfs, "etc/runlevels/default")
		harness.Must(t, "chmod", "755", path)
		harness.Must(t, "mkdir", "-p", level)
		harness.Must(t, "ln", "-s", "/"+name, level)
	}
	write(t, filepath.Join(b.path, b.name, "config"), strings.Join([]string{
		"lxc.include = /usr/share/lxc/config/common.conf",
		"lxc.uts.name = " + b.name,
		"lxc.rootfs.path = overlay:" + lower + ":" + b.rootfs,
		"lxc.net.0.type = empty",
		"lxc.net.0.flags = up", // the loopback device
		"lxc.init.cmd = /bin/busybox init",
	}, "\n")+"\n")
	b.start()
	return b
}

// services says what OpenRC has started, in alphabetical order.
func (b *box) services() string {
	b.t.Helper()
	var started []string
	for line := range strings.Lines(b.attach("rc-status", "default")) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == "[" {
			started = append(started, f[0]+" "+f[2])
		}
	}
	slices.Sort(started)
	return strings.Join(started, ", ")
}

// TestOpenRC: busybox's init with OpenRC: its supervisor, syslogd and cron go on;
// services can be restarted, and the container shuts down cleanly.
func TestOpenRC(t *testing.T) {
	b := openrc(t)
	const all = "cron started, dbus started, nginx started, postgresql started, redis-server started, ssh started, syslogd started, ticker started"
	if !harness.Wait(time.Minute, func() bool { return b.services() == all && len(b.lines("var/log/counter")) > 5 }) {
		t.Fatalf("rc-status says %s", b.services())
	}
	for round := range harness.Rounds(2, 10) {
		daemon, file := b.attach("cat", "/run/syslogd.pid"), b.statefile(fmt.Sprint(round))
		b.checkpoint("-p", "-S", file)
		b.must("lxc-unfreeze")
		b.counts()
		b.checkpoint("-k", "-S", file)
		b.expect("STOPPED")
		b.restart("-S", file)
		b.counts()
		if now := b.services(); now != all {
			t.Fatalf("round %d: rc-status says %s", round, now)
		}
		if now := b.attach("cat", "/run/syslogd.pid"); now != daemon {
			t.Fatalf("round %d: syslogd is process %s, was %s", round, now, daemon)
		}
		if pid, err := strconv.Atoi(daemon); err != nil || b.lxc("lxc-attach", "--", "kill", "-0", strconv.Itoa(pid)).Code != 0 {
			t.Fatalf("round %d: syslogd, process %s, is gone", round, daemon)
		}
		if answer := b.attach("redis-cli", "ping"); answer != "PONG" {
			t.Errorf("round %d: redis answers %q", round, answer)
		}
		mark := fmt.Sprintf("mark-%d", round)
		b.attach("logger", mark)
		harness.Until(t, "syslogd to write "+mark, 20*time.Second, func() bool {
			return strings.Contains(strings.Join(b.lines("var/log/messages"), " "), mark)
		})
	}
	b.attach("rc-service", "syslogd", "restart")
	b.attach("rc-service", "ticker", "stop")
	b.console(1)
	b.must("lxc-stop")
	b.expect("STOPPED")
}
