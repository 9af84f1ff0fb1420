package hosts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestMoveDebian: an ordinary Debian with systemd, sshd, nginx and postgres moves
// to another host and back, each time after lxc-restart --check there, while
// clients on a third host keep their connections: shells over ssh, of which one is
// idle meanwhile, a browser, and twenty clients in transactions.
func TestMoveDebian(t *testing.T) {
	need.Check(t, need.Program("rsync"), need.Program("ssh"), need.Postgres)
	cached := harness.DebianRootfs(t, harness.DebianPackages+harness.DebianServers)
	bin := binaries(t)
	disk := roomy(2 << 30)
	one, other, third := newHostIn(t, disk, "one", bin), newHostIn(t, disk, "other", bin), newHost(t, "third", bin)
	connect(third, one, other)
	key := createDebian(one, cached)
	createEmpty(other)
	one.must("lxc-start", "-n", "c")
	running(one)
	outside := harness.Outsiders{Dial: third.dial, Command: third.inNetwork}
	outside.Browse(t, movedAddress)
	outside.Bank(t, movedAddress)
	idle, busy := harness.NewShell(t, third.inNetwork, movedAddress, key), harness.NewShell(t, third.inNetwork, movedAddress, key)
	idle.Says(t, "before")

	from, to, services := one, other, mainPIDs(one)
	for round := range harness.Rounds(6, 20) {
		outside.GoOn(t)
		busy.Says(t, fmt.Sprintf("before move %d", round))
		copyFiles(from, to)
		from.must("lxc-freeze", "-n", "c")
		copyFiles(from, to)
		wouldMove(from, to)
		pipe(from, to)
		// It heard who answered while it was not to hear anybody else: else it
		// would not ask again, and say nothing, for a second.
		if neighbours := to.must("lxc-attach", "-n", "c", "--", "ip", "neigh"); !strings.Contains(neighbours, " lladdr ") || strings.Contains(neighbours, "INCOMPLETE") {
			t.Errorf("after move %d the container's neighbours are %s", round, neighbours)
		}
		busy.Says(t, fmt.Sprintf("after move %d", round))
		if state := from.must("lxc-info", "-n", "c", "-sH"); state != "STOPPED" {
			t.Errorf("the container that was moved away is %s", state)
		}
		running(to)
		if now := mainPIDs(to); now != services {
			t.Fatalf("on host %s services were started anew: they are\n%s\nand were\n%s", to.Name, now, services)
		}
		from, to = to, from
	}
	idle.Says(t, "after all moves")
	outside.GoOn(t)
	outside.End(t)
	from.must("lxc-attach", "-n", "c", "--", "systemctl", "restart", "nginx")
	running(from)
	from.must("lxc-stop", "-n", "c") // which systemd shuts down on
	if state := from.must("lxc-info", "-n", "c", "-sH"); state != "STOPPED" {
		t.Errorf("after lxc-stop it is %s", state)
	}
}

// roomy is a directory with room: in memory where there is enough, since the test
// would write most of its time.
func roomy(bytes uint64) string {
	const memory = "/dev/shm"
	var fs unix.Statfs_t
	if err := unix.Statfs(memory, &fs); err == nil && fs.Bavail*uint64(fs.Bsize) > bytes {
		return memory
	}
	return "/var/tmp"
}

// createDebian makes the container, and returns the key that opens its sshd.
func createDebian(h *host, cached string) (key string) {
	h.t.Helper()
	dir := filepath.Join(h.LXC, "c")
	rootfs := filepath.Join(dir, "rootfs")
	for _, args := range [][]string{
		{"mkdir", "-p", rootfs},
		{"cp", "-a", "--reflink=auto", cached + "/.", rootfs},
		{"sh", "-ec", `cd "$0"/etc/postgresql/*/main; echo host all all all trust >>pg_hba.conf; echo "listen_addresses = '*'" >>postgresql.conf`, rootfs},
		{"sh", "-ec", `printf 'keepalive_requests 1000000000;\n' >"$0"/etc/nginx/conf.d/tests.conf`, rootfs},
	} {
		harness.Must(h.t, args[0], args[1:]...)
	}
	key = harness.SSHKey(h.t, rootfs)
	harness.WritePages(h.t, filepath.Join(rootfs, "var/www/html"))
	config := `lxc.include = /usr/share/lxc/config/debian.common.conf
lxc.arch = linux64
lxc.uts.name = c
lxc.rootfs.path = dir:/var/lib/lxc/c/rootfs
` + movableConfig
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return key
}

// running waits until systemd says that all is well in the container.
func running(h *host) {
	h.t.Helper()
	last := ""
	if !harness.Wait(time.Minute, func() bool {
		last = strings.TrimSpace(h.run("lxc-attach", "-n", "c", "--", "systemctl", "is-system-running").Stdout)
		return last == "running"
	}) {
		h.t.Fatalf("on host %s systemctl is-system-running says %q\n%s", h.Name, last,
			h.run("lxc-attach", "-n", "c", "--", "systemctl", "--failed", "--no-pager"))
	}
}

// mainPIDs are the first processes of the container's services.
func mainPIDs(h *host) string {
	h.t.Helper()
	return h.must("lxc-attach", "-n", "c", "--", "systemctl", "show", "-p", "Id,MainPID,NRestarts",
		"systemd-journald", "systemd-logind", "dbus", "cron", "ssh", "nginx", "postgresql@*", "redis-server", "console-getty", "container-getty@*")
}

// wouldMove is lxc-checkpoint -n c -d 1 | ssh other lxc-restart -n c -d 0 --check.
func wouldMove(from, to *host) {
	from.t.Helper()
	said := pipeInto(from, to, nil, []string{"--check"})
	if !strings.Contains(said, "a restart would work") {
		from.t.Fatalf("lxc-restart --check on host %s says\n%s", to.Name, said)
	}
}

// inNetwork is a command in the host's network.
func (h *host) inNetwork(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", fmt.Sprint(h.Init()), "-n", "--", name}, args...)...)
}
