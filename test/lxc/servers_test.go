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
// for, each with clients: sshd with a session in it, nginx, postgres with twenty
// clients in transactions, and an editor in tmux. A service follows the journal.
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
	b.talker("follower", "systemd-journald.service", "/bin/journalctl -f -n 0")
	b.unit("editor.service", "multi-user.target", `[Service]
Type=forking
Environment=TERM=screen
ExecStart=/usr/bin/tmux -S /run/editor new-session -d -x 80 -y 20 /usr/bin/vim.tiny /root/text
`)
	write(t, filepath.Join(b.rootfs, "root/text"), strings.Repeat("a line of text\n", 100))
	b.start()
	b.running()
	return b
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
	for _, name := range []string{"ssh-talk", "web-talk", "bank"} {
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
// statefile and comes back, and no client sees more than a pause.
func TestSystemdServers(t *testing.T) {
	need.Check(t, need.Program("chroot"))
	b := servers(t)
	harness.Until(t, "the servers' clients", 60*time.Second, func() bool {
		return len(b.lines("var/log/ssh-talk")) > 5 && len(b.lines("var/log/web-talk")) > 5 && len(b.lines("var/log/bank")) > 40
	})
	b.types("before any checkpoint")
	pids := b.mainPids()
	for round := range harness.Rounds(2, 10) {
		file, shown := b.statefile(fmt.Sprint(round)), b.editor()
		b.checkpoint("-p", "-S", file)
		b.must("lxc-unfreeze")
		b.talk()
		b.checkpoint("-k", "-S", file)
		b.expect("STOPPED")
		b.restart("-S", file)
		b.talk()
		b.running()
		if now := b.mainPids(); now != pids {
			t.Fatalf("round %d: services were started anew:\n%s", round, diffLines(pids, now))
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
	b.consistent()
	b.attach("systemctl", "stop", "web-talk")
	b.attach("systemctl", "restart", "nginx")
	b.attach("systemctl", "restart", "ssh")
	b.running()
	b.must("lxc-stop")
	b.expect("STOPPED")
}

// mainPids are the first processes of the servers and of their clients.
func (b *box) mainPids() string {
	b.t.Helper()
	return b.attach("systemctl", "show", "-p", "Id,MainPID,NRestarts", "ssh", "nginx", "postgresql@*", "ssh-talk", "web-talk", "bank", "follower", "editor")
}

// consistent sees that no transaction was lost or done twice.
func (b *box) consistent() {
	b.t.Helper()
	b.attach("systemctl", "stop", "bank")
	const sums = "select sum(bbalance) = (select sum(delta) from pgbench_history), sum(bbalance) = (select sum(abalance) from pgbench_accounts), sum(bbalance) = (select sum(tbalance) from pgbench_tellers) from pgbench_branches"
	if got := b.attach("su", "postgres", "-c", "psql -qAt -c '"+sums+"'"); got != "t|t|t" {
		b.t.Errorf("the sums of the bank are not the same: %s", got)
	}
}
