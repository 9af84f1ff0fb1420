package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The test binary is the command itself when it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("LXC_CHECKPOINT_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// command runs lxc-checkpoint and returns its exit code and what it wrote to
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

// words splits a command line at blanks; 'x y' is one word.
func words(line string) []string {
	var list []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}

func TestWrongUsage(t *testing.T) {
	for line, want := range map[string]string{
		"":                             "which container? Name it with -n NAME",
		"-S f":                         "which container? Name it with -n NAME",
		"-n '' -S f":                   "The name after -n is empty",
		"-n c1":                        "where to? Name a file with -S FILE, or an open descriptor with -d FD",
		"-n c1 -S f -d 3":              "-S and -d exclude each other",
		"-n c1 -S f -kp":               "-k and -p exclude each other",
		"-n c1 --check -S f":           "--check writes no state",
		"-n c1 --check -k":             "--check lets the container go on",
		"-n c1 --json -S f":            "--json goes with --check only",
		"-n c1 -S f --kill --pause":    "-k and -p exclude each other",
		"-n c1 --pid 5 -S f":           "-n, --all, --cgroup and --pid exclude each other",
		"--cgroup x --pid 5 -S f":      "-n, --all, --cgroup and --pid exclude each other",
		"--cgroup x -S f -P /x":        "-P goes with -n only",
		"-n c1 --state f":              "option --state is ambiguous: --statefile or --statefd",
		"-n c1 --statefile":            "option --statefile needs a value",
		"-n":                           "option -n needs a value",
		"-n c1 -S f --kill=yes":        "option --kill takes no value",
		"-n c1 -S f -z":                "there is no option -z",
		"-n c1 -S f --nosuch":          "there is no option --nosuch",
		"-n c1 -d x":                   `option --statefd: "x" is not a value that it takes: it takes a number from 0`,
		"-n c1 -d -1":                  "it takes a number from 0",
		"--pid 0 -S f":                 "it takes a number from 1",
		"--pid x -S f":                 "it takes a number from 1",
		"-n c1 -S f --timeout 0":       "it takes seconds",
		"-n c1 -S f --timeout soon":    "it takes seconds",
		"-n c1 -S f -l LOUD":           `there is no level "LOUD"`,
		"-n c1 -S f extra":             `what is "extra" for?`,
		"c1 extra -S f":                `what is "extra" for?`,
		"-n c1 -S f -- --kill":         `what is "--kill" for?`,
		"--cgroup=x -S f c1":           `what is "c1" for?`,
		"--all d -S f":                 "--all writes to files in its directory",
		"--all d -n c1":                "-n, --all, --cgroup and --pid exclude each other",
		"-n c1 --check -A true":        "--check runs no action script",
		"-n c1 -S f --print-stats=yes": "option --print-stats takes no value",
	} {
		dir := t.TempDir()
		code, stdout, stderr := command(t, func(c *exec.Cmd) { c.Dir = dir }, words(line)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "lxc-checkpoint: ") ||
			!strings.Contains(stderr, want) || !strings.HasSuffix(stderr, " (see lxc-checkpoint --help)\n") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 2 and %q", line, code, stdout, stderr, want)
		}
		empty(t, line, dir)
	}
}

func empty(t *testing.T, what, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s: files are left: %v, %v", what, entries, err)
	}
}

func TestHelp(t *testing.T) {
	for _, option := range []string{"-h", "-?", "--help", "--he", "-kh"} {
		code, stdout, stderr := command(t, nil, option)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "Usage: lxc-checkpoint -n NAME") || !strings.Contains(stdout, "-S, --statefile=FILE") {
			t.Errorf("%s: exit %d, %q, %q", option, code, stdout, stderr)
		}
		for line := range strings.Lines(stdout) {
			if len(line) > 110 {
				t.Errorf("%s: a line of %d characters: %s", option, len(line), line)
			}
		}
	}
	code, stdout, stderr := command(t, nil, "--usage")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "Usage: ") || strings.Count(stdout, "\n") != 4 {
		t.Errorf("--usage: exit %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, _ = command(t, nil, "--version")
	if code != 0 || strings.Count(stdout, ".") != 2 {
		t.Errorf("--version: exit %d, %q", code, stdout)
	}
}

func TestWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives it up")
	}
	// The binary has to lie where anybody can reach it.
	dir, err := os.MkdirTemp("/tmp", "lxc-checkpoint-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	binary, err1 := os.ReadFile(os.Args[0])
	tool := filepath.Join(dir, "lxc-checkpoint")
	if err := errors.Join(err1, os.WriteFile(tool, binary, 0o755), os.Chmod(dir, 0o755), os.Chmod(tool, 0o755)); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := command(t, func(c *exec.Cmd) {
		c.Path = tool
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}, "-n", "c1", "-S", "f")
	if code != 1 || !strings.HasPrefix(stderr, "lxc-checkpoint: only root may do this: become root (missing: CAP_SYS_PTRACE, ") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestNoSuchTarget(t *testing.T) {
	needRoot(t)
	lxcpath := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(lxcpath, "stopped"), 0o755),
		os.WriteFile(filepath.Join(lxcpath, "stopped", "config"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"-n nosuch -P " + lxcpath:  "there is no container nosuch in " + lxcpath + ": lxc-ls shows",
		"nosuch -P " + lxcpath:     "there is no container nosuch in " + lxcpath + ": lxc-ls shows",
		"-n stopped -P " + lxcpath: "container stopped is stopped: start it (lxc-start -n stopped)",
		"-n a/b":                   `"a/b" cannot be the name of a container`,
		"--cgroup no/such":         "there is no cgroup no/such below ",
		"--cgroup /no/such":        "there is no cgroup /no/such below ",
		"--cgroup /":               "cgroup /: the root cgroup holds the whole host",
		"--pid 4194304":            "there is no process 4194304",
		"--pid 1":                  "process 1",
	} {
		dir := t.TempDir()
		code, stdout, stderr := command(t, func(c *exec.Cmd) { c.Dir = dir }, append(words(line), "-S", "f", "-k")...)
		if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "lxc-checkpoint: "+want) || !strings.HasSuffix(stderr, "; nothing was written\n") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 1 and %q", line, code, stdout, stderr, want)
		}
		empty(t, line, dir)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, as a checkpoint does")
	}
}
