package lxc

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// session is a command on a terminal of its own.
type session struct {
	t       *testing.T
	command *exec.Cmd
	master  *os.File
	mu      sync.Mutex
	shown   strings.Builder
	ended   chan error
}

// onTerminal starts one.
func onTerminal(t *testing.T, name string, args ...string) *session {
	t.Helper()
	master, slave := pty(t)
	s := &session{t: t, command: exec.Command(name, args...), master: master, ended: make(chan error, 1)}
	s.command.Stdin, s.command.Stdout, s.command.Stderr = slave, slave, slave
	s.command.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			s.mu.Lock()
			s.shown.Write(buffer[:n])
			s.mu.Unlock()
			if err != nil {
				break
			}
		}
	}()
	go func() { s.ended <- s.command.Wait() }()
	t.Cleanup(func() {
		_ = s.command.Process.Kill()
		master.Close()
	})
	return s
}

// types types something, and waits until the terminal shows an answer.
func (s *session) types(line, answer string) {
	s.t.Helper()
	s.mu.Lock()
	from := s.shown.Len()
	s.mu.Unlock()
	if _, err := io.WriteString(s.master, line+"\r"); err != nil {
		s.t.Fatal(err)
	}
	s.shows(from, answer)
}

// hasShown tells whether the terminal has shown something.
func (s *session) hasShown(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.shown.String(), what)
}

// shows waits until the terminal has shown something, from a byte on.
func (s *session) shows(from int, what string) {
	s.t.Helper()
	text := func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.shown.String()[from:]
	}
	if !harness.Wait(20*time.Second, func() bool { return strings.Contains(text(), what) }) {
		s.t.Fatalf("the terminal shows no %q, but %q", what, text())
	}
}

// end waits until the command ends.
func (s *session) end() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(harness.Patience(20 * time.Second)):
		s.t.Fatalf("%s has not ended", s.command)
		return nil
	}
}

// TestShellJob: a shell that came by lxc-attach. It is refused by name, or taken
// along; then it goes on at the terminal of lxc-restart, or its terminal hangs up.
func TestShellJob(t *testing.T) {
	b := createBusybox(t)
	b.start()
	shell := onTerminal(t, "lxc-attach", "-P", b.path, "-n", b.name, "--", "/bin/sh")
	shell.shows(0, "# ")
	shell.types("secret=$((40+2)); (trap '' HUP; exec sleep 4711) &", "# ")
	shell.types("echo it is $secret", "it is 42")

	file := b.statefile("f")
	got := b.tool("lxc-checkpoint", "-S", file, "-k")
	for _, part := range []string{"foreign parent", "terminal /dev/pts/", "--shell-job", "still runs; nothing was written"} {
		if got.Code != 1 || !strings.Contains(got.Stderr, part) {
			t.Fatalf("it should be refused, with %q: %v", part, got)
		}
	}
	b.checkpoint("--shell-job", "-S", b.statefile("live"))
	shell.types("echo still $secret", "still 42")
	b.checkpoint("--shell-job", "-k", "-S", file)
	_ = shell.end()

	if got := b.tool("lxc-restart", "--shell-job", "-S", file); got.Code != 2 || !strings.Contains(got.Stderr, "standard input") {
		t.Fatalf("without a terminal there is nothing to join: %v", got)
	}
	joined := onTerminal(t, harness.Tool(t, "lxc-restart"), "-P", b.path, "-n", b.name, "--shell-job", "-S", file)
	joined.types("echo again $secret", "again 42")
	joined.types("jobs", "sleep 4711")
	joined.types("tty", "/dev/pts/")
	b.checkpoint("--shell-job", "-S", b.statefile("again"))
	joined.types("exit 0", "")
	if err := joined.end(); err != nil {
		t.Errorf("the session has ended, and lxc-restart says %v", err)
	}
	b.expect("RUNNING")
	b.must("lxc-stop", "-k")

	// Nobody sits at the terminal: the shell ends, and what ignores that does not.
	b.restart("-S", b.statefile("again"))
	harness.Until(t, "the shell to end", 20*time.Second, func() bool {
		all := strings.Join(b.ps(), "\n")
		return !strings.Contains(all, " sh group")
	})
	if all := b.attach("ps"); !strings.Contains(all, "sleep 4711") {
		t.Errorf("who ignores that its terminal hangs up has ended:\n%s", all)
	}
}
