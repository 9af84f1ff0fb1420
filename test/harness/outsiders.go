package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
)

// Outsiders are clients of servers in a container that are not in it: while that
// is stopped and restarted they may see pauses, and no error.
type Outsiders struct {
	Dial    func(address string) (net.Conn, error)      // nil: from here
	Command func(name string, args ...string) *exec.Cmd // nil: here

	pages, transactions atomic.Int64
	ctx                 context.Context
	stop                context.CancelFunc
	group               sync.WaitGroup
	mutex               sync.Mutex
	failed              []error
}

// The pages that a web server has to have for them: WritePages makes them.
const (
	smallPage, smallSize = "small", 600
	largePage, largeSize = "large", 1_200_000
)

// WritePages writes them into the directory that a web server shows.
func WritePages(t testing.TB, dir string) {
	t.Helper()
	for name, size := range map[string]int{smallPage: smallSize, largePage: largeSize} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("page..", size/6)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Browse has a client fetch pages over one connection until the end.
func (o *Outsiders) Browse(t testing.TB, host string) {
	o.run(t, func(ctx context.Context) error { return o.browse(ctx, host) })
}

// Bank has twenty clients do transactions of pgbench until the end.
func (o *Outsiders) Bank(t testing.TB, host string) {
	o.run(t, func(ctx context.Context) error { return o.bank(ctx, host) })
}

func (o *Outsiders) run(t testing.TB, f func(context.Context) error) {
	if o.ctx == nil {
		o.ctx, o.stop = context.WithCancel(t.Context())
	}
	o.group.Go(func() {
		if err := f(o.ctx); err != nil {
			o.mutex.Lock()
			defer o.mutex.Unlock()
			o.failed = append(o.failed, err)
		}
	})
}

func (o *Outsiders) failure() error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return errors.Join(o.failed...)
}

// GoOn waits until both kinds are further than they were.
func (o *Outsiders) GoOn(t testing.TB) {
	t.Helper()
	pages, transactions := o.pages.Load(), o.transactions.Load()
	Until(t, "the clients outside to go on", time.Minute, func() bool {
		if err := o.failure(); err != nil {
			t.Fatal(err)
		}
		return o.pages.Load() > pages+100 && o.transactions.Load() > transactions
	})
}

// End ends all of them, none of which may have seen an error.
func (o *Outsiders) End(t testing.TB) {
	t.Helper()
	o.stop()
	o.group.Wait()
	if err := o.failure(); err != nil {
		t.Error(err)
	}
}

func (o *Outsiders) browse(ctx context.Context, host string) error {
	dial := o.Dial
	if dial == nil {
		dial = func(address string) (net.Conn, error) { return net.DialTimeout("tcp", address, time.Second) }
	}
	var conn net.Conn
	if !Wait(20*time.Second, func() (ok bool) {
		var err error
		conn, err = dial(net.JoinHostPort(host, "80"))
		return err == nil
	}) {
		return fmt.Errorf("nginx does not answer at %s", host)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for n := 0; ctx.Err() == nil; n++ {
		name, size := smallPage, smallSize
		if n%10 == 9 {
			name, size = largePage, largeSize
		}
		if _, err := fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: box\r\n\r\n", name); err != nil {
			return err
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			return fmt.Errorf("page %d from %s: %w", n, host, err)
		}
		b, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || len(b) != size || answer.StatusCode != http.StatusOK {
			return fmt.Errorf("page %d from %s: %s with %d bytes: %v", n, host, answer.Status, len(b), err)
		}
		o.pages.Add(1)
	}
	return nil
}

func (o *Outsiders) bank(ctx context.Context, host string) error {
	start := o.Command
	if start == nil {
		start = exec.Command
	}
	command := func(program string, args ...string) *exec.Cmd {
		c := start(filepath.Join(need.PostgresBinaries(), program), append(args, "-h", host, "-U", "postgres")...)
		c.Env = append(os.Environ(), "PGDATABASE=postgres")
		return c
	}
	if !Wait(time.Minute, func() bool { return command("pg_isready", "-q").Run() == nil }) {
		return errors.New("postgres does not answer")
	}
	if text, err := command("pgbench", "-q", "-i").CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w\n%s", err, text)
	}
	c := command("pgbench", "-n", "-c", "20", "-j", "2", "-R", "200", "-P", "1", "-T", "100000")
	var said strings.Builder
	c.Stdout = &said
	progress, err := c.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = c.Process.Signal(os.Interrupt) })()
	var text strings.Builder
	for buf := make([]byte, 4096); ; {
		n, err := progress.Read(buf)
		text.Write(buf[:n])
		o.transactions.Add(int64(strings.Count(string(buf[:n]), "tps,")))
		if err != nil {
			break
		}
	}
	if err := c.Wait(); ctx.Err() == nil {
		return fmt.Errorf("pgbench ended: %v\n%s%s", err, said.String(), text.String())
	}
	for _, word := range []string{"abort", "fatal", "FATAL", "reset", "closed"} {
		if strings.Contains(text.String(), word) {
			return fmt.Errorf("pgbench says %q:\n%s", word, text.String())
		}
	}
	return nil
}
