package lxc

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/test/harness"
)

// TestHooks: the hooks of the config are run by a restart in the order and with
// the words with which a start runs them.
func TestHooks(t *testing.T) {
	b := createBusybox(t)
	log, hook := filepath.Join(b.path, "hooks.log"), filepath.Join(b.path, "hook")
	write(t, hook, "#!/bin/sh\necho \"$@ $LXC_HOOK_TYPE $LXC_NAME $LXC_ROOTFS_PATH\" >>"+log+"\n")
	inside := filepath.Join(b.rootfs, "bin/hook")
	write(t, inside, "#!/bin/sh\necho \"$@ $LXC_HOOK_TYPE\" >>/hooks.log\n")
	harness.Must(t, "chmod", "755", hook, inside)
	var lines []string
	for _, kind := range []string{"pre-start", "pre-mount", "mount", "autodev", "start-host", "stop", "post-stop"} {
		lines = append(lines, fmt.Sprintf("lxc.hook.%s = %s of-%s", kind, hook, kind))
	}
	config := filepath.Join(b.path, b.name, "config")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, config, string(text)+strings.Join(append(lines, "lxc.hook.start = /bin/hook"), "\n")+"\n")

	ran := func() (outside, within string) {
		t.Helper()
		logs := []string{log, filepath.Join(b.rootfs, "hooks.log")}
		var said []string
		for _, file := range logs {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, string(text))
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		return said[0], said[1]
	}
	b.start()
	c := &counter{b: b, file: "counter.log"}
	c.goesOn()
	outside, within := ran()
	if strings.Count(outside, "\n") != 5 || strings.Count(within, "\n") != 1 {
		t.Fatalf("a start runs these hooks:\n%s%s", outside, within)
	}
	for range 2 {
		b.checkpoint("-k", "-S", b.statefile("f"))
		harness.Until(t, "the hooks of the end", 10*time.Second, func() bool {
			text, _ := os.ReadFile(log)
			return strings.Contains(string(text), "of-post-stop")
		})
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
		b.restart("-S", b.statefile("f"))
		c.goesOn()
		if again, in := ran(); again != outside || in != within {
			t.Errorf("a restart runs these hooks:\n%s%sand a start these:\n%s%s", again, in, outside, within)
		}
	}
}

// TestSurroundings: what the config gives the first process and those of
// lxc-attach: environment, directory, capabilities dropped.
func TestSurroundings(t *testing.T) {
	b := createBusybox(t, "lxc.environment = GREETING=good day", "lxc.init.cwd = /var/spool", "lxc.init.cmd = /bin/own", "lxc.cap.drop = net_raw sys_nice sys_boot")
	own := filepath.Join(b.rootfs, "bin/own") // busybox's init goes to /
	write(t, own, "#!/bin/sh\n/bin/count &\nwhile :; do wait; sleep 1000; done\n")
	harness.Must(t, "chmod", "755", own)
	harness.Must(t, "mkdir", "-p", filepath.Join(b.rootfs, "var/spool"))
	b.start()
	c := &counter{b: b, file: "counter.log"}
	c.goesOn()
	look := func() string {
		return b.attach("sh", "-c", `tr '\0' '\n' </proc/1/environ; readlink /proc/1/cwd; grep Cap /proc/1/status; echo "$GREETING"; grep Cap /proc/self/status; cat /proc/1/attr/current 2>/dev/null; grep Seccomp /proc/1/status; :`)
	}
	before := look()
	if !strings.Contains(before, "GREETING=good day\n") || !strings.Contains(before, "\n/var/spool\n") || !strings.Contains(before, "\ngood day\n") {
		t.Fatalf("before the checkpoint:\n%s", before)
	}
	for range 2 {
		b.checkpoint("-k", "-S", b.statefile("f"))
		b.restart("-S", b.statefile("f"))
		c.goesOn()
		if now := look(); now != before {
			t.Errorf("it was\n%s\nand is\n%s", before, now)
		}
	}
}

// TestConsoleSession: a shell on a tty and one on the console go on where they
// were; who was connected by lxc-console goes on typing, and connects again after
// a restart.
func TestConsoleSession(t *testing.T) {
	b := createBusybox(t)
	inittab := filepath.Join(b.rootfs, "etc/inittab")
	text, err := os.ReadFile(inittab)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"tty1::respawn:-/bin/sh", "console::respawn:-/bin/sh"}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "tty1:") && !strings.HasPrefix(line, "console:") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	write(t, inittab, strings.Join(lines, "\n")+"\n")
	b.start()
	c := &counter{b: b, file: "counter.log"}
	c.goesOn()
	sessions := map[string]*session{}
	for _, tty := range []string{"0", "1"} {
		s := b.connect(tty)
		s.types("number=$((40+"+tty+")); unfinished=yes; echo $((number+100))", "\n14"+tty)
		sessions[tty] = s
	}
	// It goes on: nobody notices.
	b.checkpoint("-S", b.statefile("f"))
	for tty, s := range sessions {
		s.types("echo $((number+200))", "\n24"+tty)
		// Half a line is typed, and the rest after the checkpoint.
		if _, err := io.WriteString(s.master, "echo un"); err != nil {
			t.Fatal(err)
		}
	}
	b.checkpoint("-S", b.statefile("f"))
	for _, s := range sessions {
		s.types("finished: $unfinished", "\nunfinished: yes")
	}
	// It comes back: lxc-console has ended, as after lxc-stop, and connects again.
	for round := range 2 {
		b.checkpoint("-k", "-S", b.statefile("f"))
		for _, s := range sessions {
			_ = s.end()
		}
		b.restart("-S", b.statefile("f"))
		c.goesOn()
		for _, tty := range []string{"0", "1"} {
			s := b.connect(tty)
			s.types(fmt.Sprintf("echo $((number+%d00))", round+3), fmt.Sprintf("\n%d4%s", round+3, tty))
			sessions[tty] = s
		}
	}
}

// connect connects to a tty of the container; "0" is the console.
func (b *box) connect(tty string) *session {
	b.t.Helper()
	s := onTerminal(b.t, "lxc-console", "-P", b.path, "-n", b.name, "-t", tty, "-e", "^a")
	s.shows(0, "to exit the console")
	return s
}
