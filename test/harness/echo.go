package harness

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// Echo is a client of an echo server that sends bytes until End, and compares
// what comes back.
type Echo struct {
	address  string
	conn     *net.TCPConn
	back     atomic.Int64
	stop     context.CancelFunc
	sent     chan int64
	finished chan error
}

// NewEcho connects to an echo server and begins. dial (nil: the usual one) makes
// the connection.
func NewEcho(t testing.TB, address string, dial func(address string) (net.Conn, error)) *Echo {
	t.Helper()
	if dial == nil {
		dial = func(address string) (net.Conn, error) { return net.DialTimeout("tcp", address, time.Second) }
	}
	c := &Echo{address: address, sent: make(chan int64, 1), finished: make(chan error, 1)}
	Until(t, "the echo server at "+address, 10*time.Second, func() bool {
		conn, err := dial(address)
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

func (c *Echo) send(ctx context.Context) {
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

func (c *Echo) receive() {
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

// GoesOn waits until more has come back.
func (c *Echo) GoesOn(t testing.TB) {
	t.Helper()
	before := c.back.Load()
	Until(t, "more to come back from "+c.address, 60*time.Second, func() bool {
		select {
		case err := <-c.finished:
			t.Fatalf("the connection to %s has ended: %v", c.address, err)
		default:
		}
		return c.back.Load() > before+4<<20
	})
}

// End ends the stream, and expects all that was sent to have come back.
func (c *Echo) End(t testing.TB) {
	t.Helper()
	c.stop()
	sent := <-c.sent
	if err := <-c.finished; err != nil || c.back.Load() != sent {
		t.Errorf("%s: %d bytes were sent, %d came back: %v", c.address, sent, c.back.Load(), err)
	}
}
