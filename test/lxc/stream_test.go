package lxc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// A stream is sent in portions: while the first of them is on its way nothing
// happens, while each other one is, its receiver or sender is killed and restarted.
const portions = 6

// megabytes are in a stream.
var megabytes = harness.Rounds(48, 1020)

// bridgeFor makes a bridge on which the host has an address; containers join it.
func bridgeFor(t *testing.T, network int) string {
	t.Helper()
	need.Check(t, need.Program("ip"))
	bridge := fmt.Sprintf("lxck%d.%d", os.Getpid()%100_000, network)
	harness.Must(t, "ip", "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { harness.Must(t, "ip", "link", "del", bridge) })
	harness.Must(t, "ip", "addr", "add", fmt.Sprintf("10.213.%d.1/24", network), "dev", bridge)
	harness.Must(t, "ip", "addr", "add", fmt.Sprintf("fd00:213:%d::1/64", network), "dev", bridge, "nodad")
	harness.Must(t, "ip", "link", "set", bridge, "up")
	return bridge
}

// onBridge makes a busybox with a number on a bridge, which runs these programs.
func onBridge(t *testing.T, bridge string, network, number int, programs map[string]string) *box {
	t.Helper()
	b := createBusybox(t, "lxc.net.1.type = veth", "lxc.net.1.link = "+bridge, "lxc.net.1.flags = up",
		fmt.Sprintf("lxc.net.1.ipv4.address = 10.213.%d.%d/24", network, number), fmt.Sprintf("lxc.net.1.ipv6.address = fd00:213:%d::%d/64", network, number))
	b.edit("rootfs/etc/init.d/rcS", "udhcpc", "true") // the addresses are LXC's
	lines := "::respawn:/bin/count"
	for name, text := range programs {
		write(t, filepath.Join(b.rootfs, "bin", name), "#!/bin/sh\n"+text+"\n")
		if err := os.Chmod(filepath.Join(b.rootfs, "bin", name), 0o755); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(name, "take") {
			lines += "\n::once:/bin/" + name
		}
	}
	b.edit("rootfs/etc/inittab", "::respawn:/bin/count", lines)
	return b
}

// sinks are programs that take a stream and say its sum. Their own side of it
// stays open: for nc the end of that would be the end.
func sinks() map[string]string {
	all := map[string]string{}
	for _, port := range []int{5001, 5002} {
		all[fmt.Sprintf("sink%d", port)] = fmt.Sprintf("exec nc -l -p %d -e /bin/take%[1]d", port)
		all[fmt.Sprintf("take%d", port)] = fmt.Sprintf("sha256sum >/sum%d.new && mv /sum%[1]d.new /sum%[1]d", port)
	}
	return all
}

// sum is what a sink has said.
func (b *box) sum(port int) string {
	b.t.Helper()
	var text []byte
	harness.Until(b.t, fmt.Sprintf("the stream to port %d to end", port), 5*time.Minute, func() (ok bool) {
		var err error
		text, err = os.ReadFile(filepath.Join(b.rootfs, fmt.Sprintf("sum%d", port)))
		return err == nil
	})
	return strings.Fields(string(text))[0]
}

// replace kills the container and restarts it.
func (b *box) replace() {
	b.t.Helper()
	file := b.statefile("stream")
	b.checkpoint("-S", file, "-k")
	b.expect("STOPPED")
	time.Sleep(300 * time.Millisecond)
	b.restart("-S", file)
	b.expect("RUNNING")
	if err := os.Remove(file); err != nil {
		b.t.Fatal(err)
	}
}

// TestStreamFromOutside: streams of IPv4 and IPv6 from outside into a container
// that is killed and restarted five times meanwhile have the same sums.
func TestStreamFromOutside(t *testing.T) {
	const network = 79
	b := onBridge(t, bridgeFor(t, network), network, 2, sinks())
	b.start()
	b.settle()
	streams := map[int]*stream{}
	for port, host := range map[int]string{5001: fmt.Sprintf("10.213.%d.2", network), 5002: fmt.Sprintf("fd00:213:%d::2", network)} {
		streams[port] = newStream(t, net.JoinHostPort(host, fmt.Sprint(port)))
	}
	for range portions - 1 {
		for _, s := range streams {
			s.more <- true
		}
		b.replace()
	}
	for port, s := range streams {
		s.more <- true
		if want, got := s.end(t), b.sum(port); got != want {
			t.Errorf("the sum of the stream to port %d is %s, that of what was sent %s", port, got, want)
		}
	}
}

// stream is one from here, of so many portions.
type stream struct {
	more   chan bool // send one more portion
	result chan error
	sum    string
}

func newStream(t *testing.T, address string) *stream {
	t.Helper()
	var conn net.Conn
	harness.Until(t, "who listens at "+address, 10*time.Second, func() (ok bool) {
		var err error
		conn, err = net.DialTimeout("tcp", address, time.Second)
		return err == nil
	})
	s := &stream{more: make(chan bool, portions), result: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(func() { stop(); conn.Close() })
	go func() { s.result <- s.send(ctx, conn) }()
	return s
}

func (s *stream) send(ctx context.Context, conn net.Conn) error {
	source, sum := rand.NewChaCha8([32]byte{3}), sha256.New()
	to := io.MultiWriter(conn, sum)
	for range portions {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.more:
		}
		if _, err := io.CopyN(to, source, int64(megabytes/portions)<<20); err != nil {
			return err
		}
	}
	s.sum = hex.EncodeToString(sum.Sum(nil))
	return conn.Close()
}

// end is the sum of all that was sent.
func (s *stream) end(t *testing.T) string {
	t.Helper()
	select {
	case err := <-s.result:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(harness.Patience(2 * time.Minute)):
		t.Fatal("the stream does not get away")
	}
	return s.sum
}

// TestStreamBetweenContainers: streams of IPv4 and IPv6 from one container to
// another have the same sums, though now one, now the other, now both of them are killed and
// restarted.
func TestStreamBetweenContainers(t *testing.T) {
	const network = 80
	bridge := bridgeFor(t, network)
	// A portion goes when there is a file of its number.
	source := func(address string, port int) string {
		return fmt.Sprintf(`while ip addr | grep -q tentative; do sleep 0.1; done
i=0
while [ $i -lt %d ]; do
	while [ ! -e /go$i ]; do sleep 0.05; done
	dd if=/data bs=1M skip=$((i*%d)) count=%[2]d 2>/dev/null
	i=$((i+1))
done | nc %s %d`, portions, megabytes/portions, address, port)
	}
	to := onBridge(t, bridge, network, 2, sinks())
	to.start()
	to.settle()
	from := onBridge(t, bridge, network, 3, map[string]string{
		"four": source(fmt.Sprintf("10.213.%d.2", network), 5001), "six": source(fmt.Sprintf("fd00:213:%d::2", network), 5002)})
	want := writeData(t, filepath.Join(from.rootfs, "data"))
	from.start()
	from.settle()
	for i := range portions {
		write(t, filepath.Join(from.rootfs, fmt.Sprintf("go%d", i)), "")
		switch i {
		case 0, 2:
			from.replace()
		case 1, 3:
			to.replace()
		case 4: // both are away for a while
			file := from.statefile("stream")
			from.checkpoint("-S", file, "-k")
			from.expect("STOPPED")
			to.replace()
			from.restart("-S", file)
		}
	}
	for _, port := range []int{5001, 5002} {
		if got := to.sum(port); got != want {
			t.Errorf("the sum of the stream to port %d is %s, that of what was sent %s", port, got, want)
		}
	}
}

// writeData writes a file to be sent, and returns its sum.
func writeData(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, sum), rand.NewChaCha8([32]byte{5}), int64(megabytes/portions*portions)<<20); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
