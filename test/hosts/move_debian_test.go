package hosts

import (
	"bufio"
	"fmt"
	"io"
	"net"
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
	idle, busy := newShell(t, third, key), newShell(t, third, key)
	idle.says("before")

	from, to, services := one, other, mainPIDs(one)
	for round := range harness.Rounds(6, 20) {
		outside.GoOn(t)
		busy.says(fmt.Sprintf("before move %d", round))
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
		busy.says(fmt.Sprintf("after move %d", round))
		if state := from.must("lxc-info", "-n", "c", "-sH"); state != "STOPPED" {
			t.Errorf("the container that was moved away is %s", state)
		}
		running(to)
		if now := mainPIDs(to); now != services {
			t.Fatalf("on host %s services were started anew: they are\n%s\nand were\n%s", to.Name, now, services)
		}
		from, to = to, from
	}
	idle.says("after all moves")
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
	key = filepath.Join(h.t.TempDir(), "key")
	for _, args := range [][]string{
		{"mkdir", "-p", rootfs},
		{"cp", "-a", "--reflink=auto", cached + "/.", rootfs},
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key},
		{"install", "-d", "-m", "700", filepath.Join(rootfs, "root/.ssh")},
		{"cp", key + ".pub", filepath.Join(rootfs, "root/.ssh/authorized_keys")},
		{"sh", "-ec", `cd "$0"/etc/postgresql/*/main; echo host all all all trust >>pg_hba.conf; echo "listen_addresses = '*'" >>postgresql.conf`, rootfs},
		{"sh", "-ec", `printf 'keepalive_requests 1000000000;\n' >"$0"/etc/nginx/conf.d/tests.conf`, rootfs},
	} {
		harness.Must(h.t, args[0], args[1:]...)
	}
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

// shell is one that somebody has in the container by ssh, on a terminal; it
// repeats what it is told.
type shell struct {
	t     *testing.T
	in    io.Writer
	lines chan string // what comes back, until ssh ends
}

func newShell(t *testing.T, from *host, key string) *shell {
	t.Helper()
	harness.Until(t, "sshd", 20*time.Second, func() bool {
		conn, err := from.dial(net.JoinHostPort(movedAddress, "22"))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	c := from.inNetwork("ssh", "-tt", "-F", "none", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"root@"+movedAddress, "stty -echo; echo ready; while read -r x; do echo got-$x; done")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, w := io.Pipe()
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s := &shell{t, in, make(chan string, 100)}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- strings.TrimSpace(lines.Text())
		}
		close(s.lines)
	}()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait(); w.Close() }()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
	})
	s.hears("ready")
	return s
}

// says tells the shell something and waits until it has repeated that.
func (s *shell) says(words string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, words+"\n"); err != nil {
		s.t.Fatal(err)
	}
	s.hears("got-" + words)
}

func (s *shell) hears(words string) {
	s.t.Helper()
	select {
	case line, ok := <-s.lines:
		if !ok || line != words {
			s.t.Fatalf("over ssh comes %q, and not %q (the connection lives: %v)", line, words, ok)
		}
	case <-time.After(harness.Patience(30 * time.Second)):
		s.t.Fatalf("over ssh %q does not come", words)
	}
}
