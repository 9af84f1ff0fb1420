package hosts

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// address of the container that is moved, and of the network that it is in.
const (
	movedAddress = "10.213.78.2"
	outside      = "10.213.78.1/24"
)

// TestMove: a container moves to another host and back, by a pipe from
// lxc-checkpoint to lxc-restart; a client on a third host keeps its connections.
// One of them sends all the time, the other one is idle while the container
// moves.
func TestMove(t *testing.T) {
	need.Check(t, need.Program("rsync"))
	bin := binaries(t)
	one, other, third := newHost(t, "one", bin), newHost(t, "other", bin), newHost(t, "third", bin)
	connect(third, one, other)
	createMovable(one)
	createEmpty(other)
	one.must("lxc-start", "-n", "c")
	busy := harness.NewEcho(t, movedAddress+":5001", third.dial)
	idle := newTalk(t, third, movedAddress+":5002")
	idle.says("before")

	from, to := one, other
	for round := range harness.Rounds(2, 40) {
		busy.GoesOn(t)
		move(from, to)
		idle.says(fmt.Sprintf("round %d", round))
		busy.GoesOn(t)
		if state := from.must("lxc-info", "-n", "c", "-sH"); state != "STOPPED" {
			t.Errorf("the container that was moved away is %s", state)
		}
		if name := to.must("lxc-attach", "-n", "c", "--", "hostname"); name != "c" {
			t.Errorf("on host %s its name is %q", to.Name, name)
		}
		from, to = to, from
	}
	busy.End(t)
	from.must("lxc-stop", "-n", "c")
}

// connect makes a network of three hosts: a bridge on the first one, and on each
// of the others a bridge lxcbr0, as Debian's lxc-net calls it, that is joined to
// it by a cable.
func connect(third *host, hosts ...*host) {
	third.must("sh", "-ec", "ip link add br0 type bridge; ip addr add "+outside+" dev br0; ip link set br0 up")
	for i, h := range hosts {
		port := fmt.Sprintf("port%d", i)
		harness.Must(h.t, "ip", "link", "add", port, "netns", fmt.Sprint(third.Init()), "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(h.Init()))
		third.must("sh", "-ec", "ip link set "+port+" master br0 up")
		h.must("sh", "-ec", "ip link add lxcbr0 type bridge; ip link set eth0 master lxcbr0 up; ip link set lxcbr0 up")
	}
}

// movableConfig is the config of the container, which the other host has, too.
const movableConfig = `lxc.net.0.type = veth
lxc.net.0.link = lxcbr0
lxc.net.0.flags = up
lxc.net.0.hwaddr = 00:16:3e:78:00:02
lxc.net.0.ipv4.address = ` + movedAddress + `/24
`

// createMovable makes the container: busybox's init with two echo servers.
func createMovable(h *host) {
	h.t.Helper()
	write(h, "/root/conf", movableConfig)
	h.must("lxc-create", "-n", "c", "-f", "/root/conf", "-t", "busybox")
	rootfs := filepath.Join(h.LXC, "c", "rootfs")
	edit(h.t, filepath.Join(rootfs, "etc/init.d/rcS"), "udhcpc", "true")
	edit(h.t, filepath.Join(rootfs, "etc/inittab"), "::sysinit",
		"::respawn:/bin/nc -l -p 5001 -e /bin/cat\n::respawn:/bin/nc -l -p 5002 -e /bin/cat\n::sysinit")
}

// createEmpty makes the other host's container: a config, and what README.md says
// of copying.
func createEmpty(h *host) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Join(h.LXC, "c", "rootfs"), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// move moves the container as README.md says: the files while it runs, then what
// has changed while it stands still, then its state.
func move(from, to *host) {
	t := from.t
	t.Helper()
	copyFiles(from, to)
	from.must("lxc-freeze", "-n", "c")
	copyFiles(from, to)
	pipe(from, to)
}

func copyFiles(from, to *host) {
	from.t.Helper()
	r := harness.Run(from.t, "rsync", "-aHAXx", "--numeric-ids", "--delete", from.LXC+"/c/", to.LXC+"/c/")
	if r.Code != 0 && r.Code != 24 { // some file vanished meanwhile
		from.t.Fatal(r)
	}
}

// pipe is lxc-checkpoint -n c -d 1 -k | ssh other lxc-restart -n c -d 0.
func pipe(from, to *host) {
	from.t.Helper()
	if said := pipeInto(from, to, []string{"-k"}, nil); said != "" {
		from.t.Fatalf("lxc-restart should say nothing, and says %s", said)
	}
}

// pipeInto does so with more options, and returns what lxc-restart says.
func pipeInto(from, to *host, checkpoint, restart []string) string {
	t := from.t
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var said, failed bytes.Buffer
	there := to.Command(to.tool("lxc-restart"), append([]string{"-n", "c", "-d", "0"}, restart...)...)
	there.Stdin, there.Stdout, there.Stderr, there.WaitDelay = r, &said, &failed, time.Second
	if err := there.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	got := from.with(func(c *exec.Cmd) { c.Stdout = w }, from.tool("lxc-checkpoint"), append([]string{"-n", "c", "-d", "1"}, checkpoint...)...)
	w.Close()
	if err := there.Wait(); err != nil || got.Code != 0 || got.Stderr != "" || failed.Len() > 0 {
		t.Fatalf("%v\nlxc-restart: %v\n%s%s", got, err, failed.String(), said.String())
	}
	return said.String()
}

// dial connects from the host.
func (h *host) dial(address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		var fd int
		if fd, err = unix.Open(fmt.Sprintf("/proc/%d/ns/net", h.Init()), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		defer unix.Close(fd)
		if err = unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return
		}
		conn, err = net.DialTimeout("tcp", address, time.Second)
	}()
	<-done
	return conn, err
}

// talk is a connection to an echo server over which something is said now and then.
type talk struct {
	t    *testing.T
	conn net.Conn
}

func newTalk(t *testing.T, from *host, address string) *talk {
	t.Helper()
	var conn net.Conn
	harness.Until(t, "the echo server at "+address, 10*time.Second, func() (ok bool) {
		var err error
		conn, err = from.dial(address)
		return err == nil
	})
	t.Cleanup(func() { conn.Close() })
	return &talk{t, conn}
}

// says says something and waits for the echo.
func (k *talk) says(words string) {
	k.t.Helper()
	if err := k.conn.SetDeadline(time.Now().Add(harness.Patience(20 * time.Second))); err != nil {
		k.t.Fatal(err)
	}
	back := make([]byte, len(words))
	_, err := io.WriteString(k.conn, words)
	if err == nil {
		_, err = io.ReadFull(k.conn, back)
	}
	if err != nil || string(back) != words {
		k.t.Fatalf("over the idle connection: %q comes back as %q: %v", words, back, err)
	}
}

// write writes a file of the host.
func write(h *host, path, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.Path(path), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// edit replaces words in a file.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, new)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
