package harness

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SSHKey makes a key that opens the account of root in a root file system.
func SSHKey(t testing.TB, rootfs string) string {
	t.Helper()
	key, home := filepath.Join(t.TempDir(), "key"), filepath.Join(rootfs, "root/.ssh")
	Must(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	Must(t, "install", "-d", "-m", "700", home)
	Must(t, "cp", key+".pub", filepath.Join(home, "authorized_keys"))
	return key
}

// Shell is one that somebody has in a container by ssh, on a terminal; it repeats
// what it is told.
type Shell struct {
	in    io.Writer
	lines chan string // what comes back, until ssh ends
}

// NewShell connects, as soon as an sshd answers. start (exec.Command, or the like)
// says where ssh runs.
func NewShell(t testing.TB, start func(name string, args ...string) *exec.Cmd, address, key string) *Shell {
	t.Helper()
	ssh := func(args ...string) *exec.Cmd {
		return start("ssh", append([]string{"-F", "none", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
			"-o", "LogLevel=ERROR", "-o", "ConnectTimeout=1", "root@" + address}, args...)...)
	}
	Until(t, "sshd", 20*time.Second, func() bool { return ssh("true").Run() == nil })
	c := ssh("-tt", "stty -echo; echo ready; while read -r x; do echo got-$x; done")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, w := io.Pipe()
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s := &Shell{in, make(chan string, 100)}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- strings.TrimSpace(lines.Text())
		}
		close(s.lines)
	}()
	ended := make(chan error, 1)
	go func() {
		ended <- c.Wait()
		w.Close()
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
	})
	s.hears(t, "ready")
	return s
}

// Says tells the shell something and waits until it has repeated that.
func (s *Shell) Says(t testing.TB, words string) {
	t.Helper()
	if _, err := io.WriteString(s.in, words+"\n"); err != nil {
		t.Fatal(err)
	}
	s.hears(t, "got-"+words)
}

func (s *Shell) hears(t testing.TB, words string) {
	t.Helper()
	select {
	case line, ok := <-s.lines:
		if !ok || line != words {
			t.Fatalf("over ssh comes %q, and not %q (the connection lives: %v)", line, words, ok)
		}
	case <-time.After(Patience(30 * time.Second)):
		t.Fatalf("over ssh %q does not come", words)
	}
}
