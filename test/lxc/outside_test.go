package lxc

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
	"lxc-checkpoint/test/harness"
)

// TestClientsOutside: nginx with clients that keep their connections and postgres
// with twenty clients in transactions, all of them outside the container, which is
// killed and restarted five times meanwhile: they see a pause, and no error.
func TestClientsOutside(t *testing.T) {
	need.Check(t, need.Postgres, need.Program("nginx"), need.Program("rsync"))
	const network = 81
	bin := need.PostgresBinaries()
	b := onBridge(t, bridgeFor(t, network), network, 2, map[string]string{
		"web": "mkdir -p /web/logs; exec /bin/nginx -p /web -e /web/error -c /web/conf",
		"db": fmt.Sprintf(`mkdir /data; chown nobody /data
exec su -s /bin/sh nobody -c '%[1]s/initdb -D /data/db -A trust --no-sync -U postgres >/dev/null && echo host all all all trust >>/data/db/pg_hba.conf &&
exec %[1]s/postgres -D /data/db -k /data -h 0.0.0.0 -c shared_buffers=16MB -c fsync=off -c huge_pages=off -c timezone=GMT'`, bin),
	})
	for _, dir := range []string{"web", "usr/share/postgresql"} {
		if err := os.MkdirAll(filepath.Join(b.rootfs, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	harness.Must(t, "cp", "/usr/sbin/nginx", filepath.Join(b.rootfs, "bin"))
	harness.Must(t, "rsync", "-a", "/usr/share/postgresql/", filepath.Join(b.rootfs, "usr/share/postgresql/"))
	write(t, filepath.Join(b.rootfs, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
	write(t, filepath.Join(b.rootfs, "etc/group"), "root:x:0:\nnogroup:x:65534:\n")
	write(t, filepath.Join(b.rootfs, "web/conf"), `daemon off; worker_processes 2; pid /web/pid; user root nogroup;
events { worker_connections 200; }
http {
	access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; sendfile on;
	client_body_temp_path /web/body; proxy_temp_path /web/proxy; fastcgi_temp_path /web/fcgi; uwsgi_temp_path /web/uwsgi; scgi_temp_path /web/scgi;
	server { listen 80; listen [::]:80; root /web; }
}
`)
	write(t, filepath.Join(b.rootfs, "web/small"), strings.Repeat("small ", 100))
	write(t, filepath.Join(b.rootfs, "web/large"), strings.Repeat("large ", 200_000))
	t.Cleanup(func() {
		if text, _ := os.ReadFile(filepath.Join(b.rootfs, "web/error")); t.Failed() {
			t.Logf("nginx says: %s", text)
		}
	})
	b.start()
	b.settle()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all outsiders
	for i := range 10 {
		host := fmt.Sprintf("10.213.%d.2", network)
		if i%2 == 1 {
			host = fmt.Sprintf("fd00:213:%d::2", network)
		}
		all.run(func() error { return all.browse(ctx, host) })
	}
	all.run(func() error { return all.bank(ctx, t, bin, fmt.Sprintf("10.213.%d.2", network)) })
	for range harness.Rounds(2, 5) {
		all.goOn(t)
		b.replace()
	}
	all.goOn(t)
	stop()
	all.wait()
	for _, err := range all.errors() {
		t.Error(err)
	}
}

// outsiders are clients.
type outsiders struct {
	pages, transactions atomic.Int64
	group               sync.WaitGroup
	mutex               sync.Mutex
	failed              []error
}

func (o *outsiders) run(f func() error) {
	o.group.Go(func() {
		if err := f(); err != nil {
			o.mutex.Lock()
			defer o.mutex.Unlock()
			o.failed = append(o.failed, err)
		}
	})
}

func (o *outsiders) wait() { o.group.Wait() }

func (o *outsiders) errors() []error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.failed
}

// goOn waits until both kinds are further than they were.
func (o *outsiders) goOn(t *testing.T) {
	t.Helper()
	pages, transactions := o.pages.Load(), o.transactions.Load()
	harness.Until(t, "the clients outside to go on", time.Minute, func() bool {
		if errs := o.errors(); len(errs) > 0 {
			t.Fatal(errors.Join(errs...))
		}
		return o.pages.Load() > pages+100 && o.transactions.Load() > transactions
	})
}

// browse fetches pages over one connection.
func (o *outsiders) browse(ctx context.Context, host string) error {
	var conn net.Conn
	if !harness.Wait(harness.Patience(20*time.Second), func() (ok bool) {
		var err error
		conn, err = net.DialTimeout("tcp", net.JoinHostPort(host, "80"), time.Second)
		return err == nil
	}) {
		return fmt.Errorf("nginx does not answer at %s", host)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for n := 0; ctx.Err() == nil; n++ {
		name, size := "small", 600
		if n%10 == 9 {
			name, size = "large", 1_200_000
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

// bank has pgbench do transactions until the end, by twenty clients.
func (o *outsiders) bank(ctx context.Context, t *testing.T, bin, host string) error {
	pgbench := func(args ...string) *exec.Cmd {
		return exec.Command(filepath.Join(bin, "pgbench"), append(args, "-h", host, "-U", "postgres", "postgres")...)
	}
	ready := func() bool {
		return exec.Command(filepath.Join(bin, "pg_isready"), "-q", "-h", host).Run() == nil
	}
	if !harness.Wait(harness.Patience(time.Minute), ready) {
		return errors.New("postgres does not answer")
	}
	if text, err := pgbench("-q", "-i").CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w\n%s", err, text)
	}
	c := pgbench("-n", "-c", "20", "-j", "2", "-R", "200", "-P", "1", "-T", "100000")
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
