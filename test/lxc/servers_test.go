package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// servers makes and starts a Debian with systemd and the servers that it is used
// for, each with clients: sshd with a session in it, nginx, redis, postgres with
// twenty clients in transactions, and an editor in tmux. A service follows the
// journal. A user has a systemd of her own, with a service that has a sandbox and
// limits; so has one of the system's. A timer and cron do something now and then.
func servers(t *testing.T) *box {
	t.Helper()
	b := debianSystemd(t, harness.DebianPackages+harness.DebianServers)
	key := filepath.Join(b.rootfs, "root/.ssh/id_ed25519")
	for _, args := range [][]string{
		{"install", "-d", "-m", "700", filepath.Dir(key)},
		{"chroot", b.rootfs, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"},
		{"cp", key + ".pub", filepath.Join(filepath.Dir(key), "authorized_keys")},
		{"cp", "programs/ssh-talk.py", "programs/web-talk.py", filepath.Join(b.rootfs, "usr/local/bin")},
		{"sh", "-c", "sed -i s/scram-sha-256/trust/ " + filepath.Join(b.rootfs, "etc/postgresql/*/main/pg_hba.conf")},
	} {
		harness.Must(t, args[0], args[1:]...)
	}
	b.talker("ssh-talk", "ssh.service", "/usr/local/bin/ssh-talk.py")
	b.talker("web-talk", "nginx.service", "/usr/local/bin/web-talk.py")
	b.talker("bank", "postgresql.service", `/bin/sh -c 'until pg_isready -q; do sleep 0.2; done; export PGUSER=postgres PGHOST=127.0.0.1; pgbench -q -i && exec pgbench -c 20 -R 60 -P 1 -T 1000000'`)
	b.talker("redis-talk", "redis-server.service", `/bin/sh -c 'until redis-cli ping; do sleep 0.2; done >/dev/null; exec redis-cli -r 1000000000 -i 0.03 INCR said'`)
	b.talker("follower", "systemd-journald.service", "/bin/journalctl -f -n 0")
	b.unit("editor.service", "multi-user.target", `[Service]
Type=forking
Environment=TERM=screen
ExecStart=/usr/bin/tmux -S /run/editor new-session -d -x 80 -y 20 /usr/bin/vim.tiny /root/text
`)
	b.anna()
	b.unit("limited.service", "multi-user.target", fmt.Sprintf(sandboxed, "/home/anna/limited")+"User=anna\nTasksMax=50\nMemoryMax=200M\n")
	b.unit("tick.timer", "timers.target", "[Timer]\nOnActiveSec=1s\nOnUnitActiveSec=1s\nAccuracySec=100ms\n")
	b.unit("tick.service", "", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo tick >>/var/log/ticks'\n")
	write(t, filepath.Join(b.rootfs, "etc/cron.d/minutes"), "* * * * * root echo minute >>/var/log/minutes\n")
	write(t, filepath.Join(b.rootfs, "root/text"), strings.Repeat("a line of text\n", 100))
	b.start()
	b.running()
	return b
}

// sandboxed is a service with a /tmp of its own and few descriptors, that counts
// there and in its home directory.
const sandboxed = `[Service]
ExecStart=/bin/sh -c 'i=0; while sleep 0.1; do i=$((i+1)); echo $i >/tmp/private; echo $i >>%s; done'
PrivateTmp=yes
LimitNOFILE=222
`

// password is the user's.
const password = "anna's"

// anna adds a user, whose systemd runs though she is not logged in.
func (b *box) anna() {
	b.t.Helper()
	harness.Must(b.t, "chroot", b.rootfs, "useradd", "-m", "-s", "/bin/bash", "anna")
	harness.Must(b.t, "chroot", b.rootfs, "sh", "-c", "echo \"anna:"+password+"\" | chpasswd")
	units := filepath.Join(b.rootfs, "home/anna/.config/systemd/user")
	harness.Must(b.t, "mkdir", "-p", filepath.Join(units, "default.target.wants"), filepath.Join(b.rootfs, "var/lib/systemd/linger"))
	write(b.t, filepath.Join(units, "own.service"), fmt.Sprintf(sandboxed, "/home/anna/own")+"PrivateUsers=yes\n") // without which she may have no mounts of her own
	harness.Must(b.t, "ln", "-s", "../own.service", filepath.Join(units, "default.target.wants"))
	harness.Must(b.t, "chroot", b.rootfs, "chown", "-R", "anna:", "/home/anna")
	write(b.t, filepath.Join(b.rootfs, "var/lib/systemd/linger/anna"), "")
}

// talker is a service that keeps saying in a file below /var/log how far it is.
func (b *box) talker(name, after, program string) {
	b.t.Helper()
	b.unit(name+".service", "multi-user.target", fmt.Sprintf(`[Unit]
After=%s
[Service]
ExecStart=%s
StandardOutput=append:/var/log/%s
StandardError=append:/var/log/%[3]s
`, after, program, name))
}

// wrong is what a talker says when something is lost.
var wrong = regexp.MustCompile(`(?i)strange|ended|another|abort|fatal|error|refused|reset`)

// talk sees that all talkers are further than they were.
func (b *box) talk() {
	b.t.Helper()
	for _, name := range []string{"ssh-talk", "web-talk", "bank", "redis-talk"} {
		file := "var/log/" + name
		b.grows(file, len(b.lines(file))+20)
		text, _ := os.ReadFile(filepath.Join(b.rootfs, file))
		if found := wrong.Find(text); found != nil {
			b.t.Fatalf("%s says %q:\n%s", name, found, text[max(0, len(text)-1000):])
		}
	}
}

// editor is what the editor shows.
func (b *box) editor() string { return b.attach("tmux", "-S", "/run/editor", "capture-pane", "-p") }

// types has somebody type a line into the editor and save the text, and sees
// that it is there.
func (b *box) types(line string) {
	b.t.Helper()
	b.attach("tmux", "-S", "/run/editor", "send-keys", "o"+line, "Escape", ":w", "Enter")
	harness.Until(b.t, "the editor to save "+line, 20*time.Second, func() bool {
		text, _ := os.ReadFile(filepath.Join(b.rootfs, "root/text"))
		return strings.Contains(string(text), line+"\n")
	})
}

// TestSystemdServers: an ordinary Debian with what people run in one goes into a
// statefile and comes back, with a shell that came by lxc-attach, and no client
// sees more than a pause. Afterwards all of systemd's and LXC's tools work on it.
func TestSystemdServers(t *testing.T) {
	need.Check(t, need.Program("chroot"))
	b := servers(t)
	harness.Until(t, "the servers' clients", 60*time.Second, func() bool {
		return len(b.lines("var/log/ssh-talk")) > 5 && len(b.lines("var/log/web-talk")) > 5 && len(b.lines("var/log/bank")) > 40
	})
	b.types("before any checkpoint")
	shell := onTerminal(t, "lxc-attach", "-P", b.path, "-n", b.name, "--", "/bin/sh")
	shell.shows(0, "# ")
	shell.types("secret=$((40+2)); echo it is $secret", "it is 42")
	pids, sandboxes := b.mainPids(), b.sandboxes()
	for round := range harness.Rounds(2, 10) {
		file, shown := b.statefile(fmt.Sprint(round)), b.editor()
		b.checkpoint("--shell-job", "-p", "-S", file)
		b.must("lxc-unfreeze")
		b.talk()
		shell.types(fmt.Sprintf("echo live $secret-%d", round), fmt.Sprintf("live 42-%d", round))
		b.checkpoint("--shell-job", "-k", "-S", file)
		b.expect("STOPPED")
		_ = shell.end()
		shell = onTerminal(t, harness.Tool(t, "lxc-restart"), "-P", b.path, "-n", b.name, "--shell-job", "-S", file)
		shell.types(fmt.Sprintf("echo again $secret-%d", round), fmt.Sprintf("again 42-%d", round))
		b.talk()
		b.running()
		if now := b.mainPids(); now != pids {
			t.Fatalf("round %d: services were started anew:\n%s", round, diffLines(pids, now))
		}
		if now := b.sandboxes(); now != sandboxes {
			t.Fatalf("round %d: the sandboxes of services are others:\n%s", round, diffLines(sandboxes, now))
		}
		if now := b.editor(); now != shown {
			t.Fatalf("round %d: the editor shows\n%s\nit showed\n%s", round, now, shown)
		}
		b.types(fmt.Sprintf("typed in round %d", round))
		mark := fmt.Sprintf("mark of round %d", round)
		b.attach("logger", mark)
		harness.Until(t, "who follows the journal to see "+mark, 20*time.Second, func() bool {
			text, _ := os.ReadFile(filepath.Join(b.rootfs, "var/log/follower"))
			return strings.Contains(string(text), mark)
		})
		if sessions := b.attach("loginctl", "--no-legend", "list-sessions"); strings.Count(sessions, "root") != 1 {
			t.Errorf("round %d: loginctl lists other sessions than that of ssh:\n%s", round, sessions)
		}
	}
	shell.types("exit 0", "")
	_ = shell.end()
	b.consistent()
	b.tools()
	b.must("lxc-stop")
	b.expect("STOPPED")
}

// tools sees that one can do with the container what one does with any.
func (b *box) tools() {
	b.t.Helper()
	b.grows("var/log/ticks", len(b.lines("var/log/ticks")))
	if timers := b.attach("systemctl", "list-timers", "--no-pager"); !strings.Contains(timers, "tick.timer") {
		b.t.Errorf("systemctl list-timers says\n%s", timers)
	}
	if harness.Acceptance() { // it may take a minute
		minutes := len(b.lines("var/log/minutes"))
		harness.Until(b.t, "cron", 70*time.Second, func() bool { return len(b.lines("var/log/minutes")) > minutes })
	}
	follow := onTerminal(b.t, "lxc-attach", "-P", b.path, "-n", b.name, "--", "journalctl", "-f", "-n", "0")
	harness.Until(b.t, "journalctl -f", 20*time.Second, func() bool {
		b.attach("logger", "seen at once")
		return follow.hasShown("seen at once")
	})
	b.login()
	b.attach("systemctl", "stop", "web-talk")
	b.attach("systemctl", "restart", "nginx")
	b.attach("systemctl", "restart", "ssh")
	b.attach("systemctl", "restart", "limited")
	b.hers("restart", "own")
	b.running()
}

// login logs in by lxc-console on the console, where systemd has a getty.
func (b *box) login() {
	b.t.Helper()
	s := b.connect("0")
	s.types("", "login: ")
	s.types("anna", "Password: ")
	s.types(password, "$ ")
	s.types("echo it is $((40+2)) of $USER", "it is 42 of anna")
	if sessions := b.attach("loginctl", "--no-legend", "list-sessions"); !strings.Contains(sessions, "anna") {
		b.t.Errorf("who has logged in on the console has no session:\n%s", sessions)
	}
	s.types("exit", "login: ")
}

// hers is systemctl --user of the user.
func (b *box) hers(args ...string) string {
	b.t.Helper()
	return b.attach(append([]string{"runuser", "-u", "anna", "--", "env", "XDG_RUNTIME_DIR=/run/user/1000", "systemctl", "--user"}, args...)...)
}

// sandboxes sees that the services with a sandbox go on, and tells what is theirs.
func (b *box) sandboxes() string {
	b.t.Helper()
	all := b.hers("show", "-p", "Id,MainPID,NRestarts", "own") + "\n"
	pids := []string{b.hers("show", "-p", "MainPID", "--value", "own"), b.attach("systemctl", "show", "-p", "MainPID", "--value", "limited")}
	for i, file := range []string{"home/anna/own", "home/anna/limited"} {
		b.grows(file, len(b.lines(file)))
		for n, line := range b.lines(file) {
			if line != fmt.Sprint(n+1) {
				b.t.Fatalf("line %d of %s is %q", n+1, file, line)
			}
		}
		all += b.attach("sh", "-c", `cd /proc/$0; grep 'open files' limits; cat cgroup uid_map; grep -E '^(Uid|Cap|NoNewPrivs)' status; cut -d' ' -f5 mountinfo | sort | uniq -c; ls root/tmp
u=$(sed -n 's/^0:://p' cgroup); for f in pids.max memory.max; do cat /sys/fs/cgroup/pids$u/$f /sys/fs/cgroup/memory$u/$f /sys/fs/cgroup/unified$u/$f /sys/fs/cgroup$u/$f 2>/dev/null; done; :`, pids[i]) + "\n"
	}
	if there := b.lxc("lxc-attach", "--", "ls", "/tmp/private"); there.Code == 0 {
		b.t.Error("a private /tmp is everybody's")
	}
	return all
}

// mainPids are the first processes of the servers and of their clients.
func (b *box) mainPids() string {
	b.t.Helper()
	return b.attach("systemctl", "show", "-p", "Id,MainPID,NRestarts",
		"systemd-journald", "systemd-logind", "dbus", "cron", "ssh", "nginx", "postgresql@*", "redis-server", "console-getty", "container-getty@*",
		"user@1000", "limited", "ssh-talk", "web-talk", "bank", "redis-talk", "follower", "editor")
}

// consistent sees that no transaction was lost or done twice.
func (b *box) consistent() {
	b.t.Helper()
	for i, line := range b.lines("var/log/redis-talk") {
		if line != fmt.Sprint(i+1) {
			b.t.Fatalf("redis's answer %d is %q", i+1, line)
		}
	}
	b.attach("systemctl", "stop", "bank")
	const sums = "select sum(bbalance) = (select sum(delta) from pgbench_history), sum(bbalance) = (select sum(abalance) from pgbench_accounts), sum(bbalance) = (select sum(tbalance) from pgbench_tellers) from pgbench_branches"
	if got := b.attach("su", "postgres", "-c", "psql -qAt -c '"+sums+"'"); got != "t|t|t" {
		b.t.Errorf("the sums of the bank are not the same: %s", got)
	}
}
