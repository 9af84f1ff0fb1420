package lxc

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestTCPOutside: clients outside send bytes to an echo server in the container
// and get them back, over IPv4 and IPv6. That is killed and restarted meanwhile:
// they see pauses, no error, and every byte once.
func TestTCPOutside(t *testing.T) {
	need.Check(t, need.Program("ip"))
	bridge := fmt.Sprintf("lxck%d", os.Getpid()%1_000_000)
	harness.Must(t, "ip", "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { harness.Must(t, "ip", "link", "del", bridge) })
	harness.Must(t, "ip", "addr", "add", "10.213.77.1/24", "dev", bridge)
	harness.Must(t, "ip", "addr", "add", "fd00:213:77::1/64", "dev", bridge, "nodad")
	harness.Must(t, "ip", "link", "set", bridge, "up")
	b := createBusybox(t, "lxc.net.1.type = veth", "lxc.net.1.link = "+bridge, "lxc.net.1.flags = up",
		"lxc.net.1.ipv4.address = 10.213.77.2/24", "lxc.net.1.ipv6.address = fd00:213:77::2/64")
	b.edit("rootfs/etc/init.d/rcS", "udhcpc", "true") // the addresses are LXC's
	b.edit("rootfs/etc/inittab", "::respawn:/bin/count", "::respawn:/bin/count\n::respawn:/bin/nc -l -p 5001 -e /bin/cat\n::respawn:/bin/nc -l -p 5002 -e /bin/cat")
	b.start()
	b.settle()
	var clients []*echoed
	for _, address := range []string{"10.213.77.2:5001", "[fd00:213:77::2]:5002"} {
		clients = append(clients, echo(t, address))
	}
	rounds := 2
	if os.Getenv("LXC_CHECKPOINT_TEST") == "acceptance" {
		rounds = 5
	}
	for range rounds {
		for _, c := range clients {
			c.goesOn(t)
		}
		b.checkpoint("-S", b.statefile("tcp"), "-k")
		b.expect("STOPPED")
		time.Sleep(300 * time.Millisecond)
		b.restart("-S", b.statefile("tcp"))
		b.expect("RUNNING")
	}
	for _, c := range clients {
		c.goesOn(t)
		c.end(t)
	}
}

// echoed is a client of an echo server.
type echoed struct {
	address  string
	conn     *net.TCPConn
	back     atomic.Int64
	stop     context.CancelFunc
	sent     chan int64
	finished chan error
}

// echo connects to an echo server, and sends it bytes until end.
func echo(t *testing.T, address string) *echoed {
	t.Helper()
	c := &echoed{address: address, sent: make(chan int64, 1), finished: make(chan error, 1)}
	harness.Until(t, "the echo server at "+address, 10*time.Second, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		c.conn = conn.(*net.TCPConn)
		return true
	})
	t.Cleanup(func() { c.conn.Close() })
	ctx, stop := context.WithCancel(t.Context())
	c.stop = stop
	go c.send(ctx)
	go c.receive()
	return c
}

func (c *echoed) send(ctx context.Context) {
	source := rand.NewChaCha8([32]byte{7})
	buf := make([]byte, 64<<10)
	var n int64
	for ctx.Err() == nil {
		_, _ = source.Read(buf)
		m, err := c.conn.Write(buf)
		n += int64(m)
		if err != nil {
			break
		}
	}
	_ = c.conn.CloseWrite()
	c.sent <- n
}

func (c *echoed) receive() {
	source := rand.NewChaCha8([32]byte{7})
	buf, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(c.conn, buf)
		_, _ = source.Read(want)
		if string(buf[:n]) != string(want[:n]) {
			c.finished <- fmt.Errorf("after %d bytes others come back than were sent", c.back.Load())
			return
		}
		c.back.Add(int64(n))
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = nil
		} else if err == nil {
			continue
		}
		c.finished <- err
		return
	}
}

// goesOn waits until more has come back.
func (c *echoed) goesOn(t *testing.T) {
	t.Helper()
	before := c.back.Load()
	harness.Until(t, "more to come back from "+c.address, 60*time.Second, func() bool { return c.back.Load() > before+4<<20 })
}

// end ends the stream, and expects all that was sent to have come back.
func (c *echoed) end(t *testing.T) {
	t.Helper()
	c.stop()
	sent := <-c.sent
	if err := <-c.finished; err != nil || c.back.Load() != sent {
		t.Errorf("%s: %d bytes were sent, %d came back: %v", c.address, sent, c.back.Load(), err)
	}
}
