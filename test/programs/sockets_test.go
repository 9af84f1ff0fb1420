package programs

import (
	"os"
	"path/filepath"
	"testing"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// sockets are those over which the programs here talk to themselves.
var sockets = []string{"unix", "tcp"}

func overSockets(t *testing.T, program string, args ...string) {
	t.Helper()
	underLoad(t, program, append(args, sockets...)...)
}

// TestNode: timers, worker threads, files, and HTTP with itself.
func TestNode(t *testing.T) {
	need.Check(t, need.Program("node"))
	overSockets(t, "node", source(t, "node/load.js"))
}

// TestJVM: threads that allocate so much that the collectors are always at work.
func TestJVM(t *testing.T) {
	need.Check(t, need.Program("javac"))
	classes := t.TempDir()
	harness.Must(t, "javac", "-d", classes, source(t, "jvm/Storm.java"))
	for _, collector := range []string{"G1", "Parallel"} {
		t.Run(collector, func(t *testing.T) {
			// What the JVM would map below /tmp is told by its number, and we have several.
			underLoad(t, "java", "-Xms64m", "-Xmx64m", "-XX:-UsePerfData", "-XX:ParallelGCThreads=4", "-XX:+Use"+collector+"GC", "-cp", classes, "Storm")
		})
	}
}

// TestServer: an HTTP server in Go with thousands of open timers, and its
// clients.
func TestServer(t *testing.T) {
	program := os.Getenv("LXC_CHECKPOINT_SERVER") // where there is no Go
	if program == "" {
		program = filepath.Join(t.TempDir(), "server")
		harness.Must(t, "go", "build", "-o", program, "./server")
	}
	overSockets(t, program)
}

// TestRedis: with writers over TCP and over a UNIX socket, and a process now
// and then that saves.
func TestRedis(t *testing.T) {
	need.Check(t, need.Program("python3"), need.Program("redis-server"))
	overSockets(t, "python3", source(t, "redis/writer.py"))
}

// TestNginx: with clients that keep their connections, also to itself, over TCP
// and a UNIX socket.
func TestNginx(t *testing.T) {
	need.Check(t, need.Program("python3"), need.Program("nginx"))
	overSockets(t, "python3", source(t, "nginx/clients.py"))
}

// TestTcpdump: it reads what it prints from rings that it shares with the kernel.
func TestTcpdump(t *testing.T) {
	need.Check(t, need.Program("python3"), need.Program("tcpdump"))
	underLoad(t, "python3", source(t, "tcpdump/listen.py"))
}

// TestPostgres: with 20 clients in transactions, over TCP and a UNIX socket.
func TestPostgres(t *testing.T) {
	need.Check(t, need.Program("python3"), need.Program("setpriv"), need.Postgres)
	overSockets(t, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "python3", source(t, "postgres/bank.py"), need.PostgresBinaries())
}
