package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The test binary is the command itself when it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("LXC_CHECKPOINT_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// command runs lxc-restart and returns its exit code and what it wrote to
// standard output and error. prepare may change how it is started.
func command(t *testing.T, prepare func(*exec.Cmd), args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "LXC_CHECKPOINT_TEST_MAIN=1")
	c.Stdout, c.Stderr = &out, &err
	if prepare != nil {
		prepare(c)
	}
	e := c.Run()
	var exit *exec.ExitError
	if e != nil && !errors.As(e, &exit) {
		t.Fatal(e)
	}
	return c.ProcessState.ExitCode(), out.String(), err.String()
}

func TestWrongUsage(t *testing.T) {
	for line, want := range map[string]string{
		"":                            "which container? Name it with -n NAME",
		"-S f":                        "which container? Name it with -n NAME",
		"-n c1":                       "where from? Name a file with -S FILE, or an open descriptor with -d FD",
		"-n c1 -S f -d 0":             "-S and -d exclude each other",
		"-n c1 -S f --cgroup x":       "--cgroup goes with --native only",
		"-n c1 -S f --native -P /x":   "-P does not go with --native",
		"-n c1 --state f":             "option --state is ambiguous: --statefile or --statefd",
		"-n c1 -S f -k":               "there is no option -k",
		"-n c1 -S f extra":            `what is "extra" for?`,
		"-n c1 -d zero":               "it takes a number from 0",
		"-n c1 -S f --timeout=-1":     "it takes seconds",
		"-n c1 -S f --pause=yes":      "option --pause takes no value",
		"-n c1 -S":                    "option -S needs a value",
		"-n c1 -S f -l 99":            `there is no level "99"`,
		"--native -S f":               "which container? Name it with -n NAME",
		"c1 c2 -S f":                  `what is "c2" for?`,
		"-n c1 --native --cgro x -pz": "there is no option -z",
	} {
		code, stdout, stderr := command(t, nil, strings.Fields(line)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "lxc-restart: ") ||
			!strings.Contains(stderr, want) || !strings.HasSuffix(stderr, " (see lxc-restart --help)\n") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 2 and %q", line, code, stdout, stderr, want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, option := range []string{"-h", "-?", "--help", "--usage"} {
		code, stdout, stderr := command(t, nil, option)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "Usage: lxc-restart -n NAME") {
			t.Errorf("%s: exit %d, %q, %q", option, code, stdout, stderr)
		}
	}
}

func TestInputErrors(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, as a restart does")
	}
	lxcpath := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(lxcpath, "c1"), 0o755),
		os.WriteFile(filepath.Join(lxcpath, "c1", "config"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	text, emptyFile := filepath.Join(lxcpath, "text"), filepath.Join(lxcpath, "empty")
	if err := errors.Join(os.WriteFile(text, []byte("this is no statefile\n"), 0o644), os.WriteFile(emptyFile, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, c := range []struct {
		args, want string
		fd         *os.File // becomes descriptor 3
	}{
		{args: "-n c1 -S " + lxcpath + "/nosuch", want: "cannot be opened: no such file or directory"},
		{args: "-n c1 -S " + lxcpath, want: "is no regular file"},
		{args: "-n c1 -S " + text, want: text},
		{args: "-n c1 -S " + emptyFile, want: emptyFile},
		{args: "-n nosuch -S " + text, want: "there is no container nosuch in " + lxcpath},
		{args: "-n c1 -d 3", want: "descriptor 3 is not open: redirect it"},
		{args: "-n c1 -d 3", want: "descriptor 3 is not open for reading", fd: w},
		{args: "-n c1 -d 3 --timeout 0.05", want: "nothing came for 300ms", fd: r},
	} {
		code, stdout, stderr := command(t, func(e *exec.Cmd) {
			if c.fd != nil {
				e.ExtraFiles = []*os.File{c.fd}
			}
		}, append(strings.Fields(c.args), "-P", lxcpath)...)
		if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "lxc-restart: ") || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 1 and %q", c.args, code, stdout, stderr, c.want)
		}
	}
}

// A signal ends a restart that waits for its input.
func TestSignalWhileWaiting(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, as a restart does")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	begin := time.Now()
	code, _, stderr := command(t, func(c *exec.Cmd) {
		c.Stdin = r
		time.AfterFunc(300*time.Millisecond, func() { _ = c.Process.Signal(os.Interrupt) })
	}, "--native", "-n", "c1", "-d", "0")
	if code != 1 || !strings.Contains(stderr, "interrupted by signal 2 (SIGINT)") || time.Since(begin) > 5*time.Second {
		t.Errorf("exit %d, %q after %v", code, stderr, time.Since(begin))
	}
}
