package lxc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/test/harness"
)

// TestDaemons: daemons of Debian as their packages leave them, chosen for what they
// do that others don't: avahi-daemon watches from another root, supervisord links its
// socket to its place, nscd has the kernel write into its database when it ends,
// mariadbd has requests of io_uring under way.
func TestDaemons(t *testing.T) {
	b := debianSystemd(t, harness.DebianPackages+harness.DebianDaemons)
	write(t, b.rootfs+"/etc/supervisor/conf.d/sleep.conf", "[program:sleep]\ncommand=/bin/sleep 100000\n")
	b.start()
	b.running()
	b.attach("mysql", "-e", "create database t; create table t.a (i int auto_increment primary key, s text) engine=innodb")
	health := func() string {
		return b.attach("sh", "-c", `
supervisorctl status | sed 's/, uptime.*//'
avahi-daemon --check && echo avahi runs
nscd -g | grep -c 'yes  cache is enabled'
redis-cli ping
systemctl --failed --no-legend
systemctl show -p MainPID,NRestarts --value avahi-daemon supervisor nscd mariadb | xargs echo
`)
	}
	rows := 0
	insert := func() {
		t.Helper()
		rows++
		if n := b.attach("mysql", "-N", "-e", "insert into t.a (s) values (repeat('x', 10000)); select count(*) from t.a"); n != fmt.Sprint(rows) {
			t.Errorf("mariadb has %s rows, not %d", n, rows)
		}
	}
	insert()
	harness.Until(t, "supervisord's program to run", 30*time.Second, func() bool {
		return strings.Contains(b.lxc("lxc-attach", "--", "supervisorctl", "status").Stdout, "RUNNING")
	})
	for round := range harness.Rounds(2, 10) {
		before := health()
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-S", file+".live")
		insert()
		b.checkpoint("-k", "-S", file)
		b.restart("-S", file)
		b.running()
		insert()
		if after := health(); after != before {
			t.Fatalf("round %d: the daemons do otherwise:\n%s", round, diffLines(before, after))
		}
	}
	b.attach("systemctl", "restart", "avahi-daemon", "supervisor", "nscd", "mariadb")
	insert()
	b.must("lxc-stop")
}
