package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

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
	harness.WritePages(t, filepath.Join(b.rootfs, "web"))
	t.Cleanup(func() {
		if text, _ := os.ReadFile(filepath.Join(b.rootfs, "web/error")); t.Failed() {
			t.Logf("nginx says: %s", text)
		}
	})
	b.start()
	b.settle()
	var all harness.Outsiders
	for i := range 10 {
		host := fmt.Sprintf("10.213.%d.2", network)
		if i%2 == 1 {
			host = fmt.Sprintf("fd00:213:%d::2", network)
		}
		all.Browse(t, host)
	}
	all.Bank(t, fmt.Sprintf("10.213.%d.2", network))
	for range harness.Rounds(2, 5) {
		all.GoOn(t)
		b.replace()
	}
	all.GoOn(t)
	all.End(t)
}
