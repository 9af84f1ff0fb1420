package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/refusal"
)

// target is a small container without LXC: a shell in a cgroup that counts
// and says the number whenever it is asked.
type target struct {
	cgroup string
	pid    int
	count  string // file that it writes the count to
}

func newTarget(t *testing.T) *target {
	t.Helper()
	needRoot(t)
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // what our caller has left open
	root := freezerRoot(t)
	dir := filepath.Join(root, fmt.Sprintf("lxc-checkpoint-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	g := &target{cgroup: dir, count: filepath.Join(t.TempDir(), "count")}
	const script = `echo $$ > "$0"/cgroup.procs; exec 0</dev/null; i=0; while :; do i=$((i+1)); echo $i >"$1"; done`
	c := exec.Command("setsid", "sh", "-c", script, dir, g.count)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	g.pid = c.Process.Pid
	gone := make(chan struct{})
	go func() { _ = c.Wait(); close(gone) }()
	t.Cleanup(func() {
		g.thaw()
		_ = unix.Kill(g.pid, unix.SIGKILL)
		<-gone
		for range 100 {
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("cgroup %s is left", dir)
	})
	g.runs(t, "at first")
	return g
}

// freezerRoot is where a hierarchy that can freeze is mounted.
func freezerRoot(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	root := ""
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[2] == "cgroup" && strings.Contains(","+f[3]+",", ",freezer,") {
			return f[1]
		}
		if f[2] == "cgroup2" {
			root = f[1]
		}
	}
	if root == "" {
		t.Skip("no hierarchy of cgroups that can freeze is mounted")
	}
	return root
}

func (g *target) thaw() { g.tell("THAWED", "0") }

func (g *target) tell(v1, v2 string) {
	for file, word := range map[string]string{"freezer.state": v1, "cgroup.freeze": v2} {
		if f, err := os.OpenFile(filepath.Join(g.cgroup, file), os.O_WRONLY, 0); err == nil {
			_, _ = io.WriteString(f, word)
			_ = f.Close()
		}
	}
}

func (g *target) number() int {
	text, _ := os.ReadFile(g.count)
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// counts tells whether the number grows within a time.
func (g *target) counts(within time.Duration) bool {
	seen := g.number()
	for end := time.Now().Add(within); time.Now().Before(end); {
		if n := g.number(); n > seen && seen > 0 {
			return true
		} else if n > 0 {
			seen = n
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func (g *target) runs(t *testing.T, when string) {
	t.Helper()
	if !g.counts(10 * time.Second) { // the machine may have much else to do
		state, _ := os.ReadFile(filepath.Join(g.cgroup, "freezer.state"))
		wchan, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", g.pid))
		t.Fatalf("%s: the target does not run: state %s, waits in %q, its freezer says %q", when, g.status("State"), wchan, state)
	}
	if tracer := g.status("TracerPid"); tracer != "0" {
		t.Errorf("%s: the target is traced by %s", when, tracer)
	}
}

func (g *target) status(key string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.pid))
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, key+":"); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// noFile checks that nothing but what was there before is in the directory.
func noFile(t *testing.T, when, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("%s: files %v, want %v", when, names, want)
	}
}

func mountSmall(t *testing.T, options string, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("small", dir, "tmpfs", flags, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// Whatever is wrong with the output, the message is one line that says what
// to do, no file is left, and the container goes on.
func TestOutputErrors(t *testing.T) {
	g := newTarget(t)
	dir := t.TempDir()
	readOnly := mountSmall(t, "", unix.MS_RDONLY)
	full := mountSmall(t, "size=64k", 0)
	if err := os.WriteFile(filepath.Join(full, "ballast"), make([]byte, 60<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		t.Cleanup(func() { _ = w.Close() })
		return w
	}
	readable, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer readable.Close()
	for _, c := range []struct {
		args, want string
		fd         *os.File // becomes descriptor 3
		dir        string
		files      []string
	}{
		{args: "-S " + readOnly + "/f", want: "read-only file system", dir: readOnly},
		{args: "-S " + dir + "/no/f", want: "there is no directory " + dir + "/no: make it first", dir: dir},
		{args: "-S " + dir, want: "is a directory: name a file in it", dir: dir},
		{args: "-S " + full + "/f", want: "free space there or name a file elsewhere", dir: full, files: []string{"ballast"}},
		{args: "-S /dev/null", want: "use --statefd"},
		{args: "-d 3", want: "descriptor 3 is not open: redirect it"},
		{args: "-d 3", want: "descriptor 3 is not open for writing: redirect it", fd: readable},
		{args: "-d 3", want: "nobody has the other end of the pipe open", fd: closed()},
	} {
		for _, kill := range []string{"", "-k", "-p"} {
			args := append(words(c.args), "--cgroup", g.cgroup)
			if kill != "" {
				args = append(args, kill)
			}
			code, stdout, stderr := command(t, func(e *exec.Cmd) {
				if c.fd != nil {
					e.ExtraFiles = []*os.File{c.fd}
				}
			}, args...)
			when := strings.Join(args, " ")
			if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "lxc-checkpoint: ") || !strings.Contains(stderr, c.want) ||
				!strings.HasSuffix(stderr, "cgroup "+g.cgroup+" still runs; nothing was written\n") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s: exit %d, stdout %q, stderr %q; want 1 and %q", when, code, stdout, stderr, c.want)
			}
			if c.dir != "" {
				noFile(t, when, c.dir, c.files...)
			}
		}
	}
	g.runs(t, "after all errors")
}

func TestFileAndExistingFile(t *testing.T) {
	g := newTarget(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "state")
	if err := os.WriteFile(file, []byte("an older one"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := command(t, nil, "--cgroup", g.cgroup, "-S", file)
	if code != 0 || stdout != "" || stderr != "" {
		t.Fatalf("exit %d, stdout %q, stderr %q: success is silent", code, stdout, stderr)
	}
	g.runs(t, "after the checkpoint")
	noFile(t, "after the checkpoint", dir, "state")
	s, err := os.Stat(file)
	if err != nil || s.Mode() != 0o600 || s.Size() < 1000 {
		t.Errorf("%v, %v", s, err)
	}
}

func TestPauseAndFrozenBefore(t *testing.T) {
	g := newTarget(t)
	file := filepath.Join(t.TempDir(), "state")
	if code, _, stderr := command(t, nil, "--pid", strconv.Itoa(g.pid), "-S", file, "-p"); code != 0 || stderr != "" {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	if g.counts(300 * time.Millisecond) {
		t.Error("after -p it runs")
	}
	// It is frozen now, and stays it through a checkpoint and one that fails.
	if code, _, stderr := command(t, nil, "--cgroup", g.cgroup, "-S", file); code != 0 || stderr != "" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if g.counts(300 * time.Millisecond) {
		t.Error("a frozen container runs after its checkpoint")
	}
	code, _, stderr := command(t, nil, "--cgroup", g.cgroup, "-S", "/dev/null")
	if code != 1 || !strings.Contains(stderr, "is still frozen, as before; nothing was written") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	g.thaw()
	g.runs(t, "after the thaw")
}

func TestKill(t *testing.T) {
	g := newTarget(t)
	file := filepath.Join(t.TempDir(), "state")
	if code, _, stderr := command(t, nil, "--cgroup", g.cgroup, "-S", file, "-k"); code != 0 || stderr != "" {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	if g.counts(300 * time.Millisecond) {
		t.Error("after -k it runs")
	}
	if procs, err := os.ReadFile(filepath.Join(g.cgroup, "cgroup.procs")); err != nil || len(procs) > 0 {
		t.Errorf("processes %q, %v", procs, err)
	}
}

// TestCheck: what --check tells of a container that could be checkpointed, and
// as JSON; frozen or not, it stays as it was.
func TestCheck(t *testing.T) {
	g := newTarget(t)
	code, stdout, stderr := command(t, nil, "--cgroup", g.cgroup, "--check")
	if code != 0 || !strings.Contains(stdout, "a checkpoint would work: ") || stderr != "" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	g.runs(t, "after --check")
	code, stdout, stderr = command(t, nil, "--cgroup", g.cgroup, "--check", "--json")
	var r refusal.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 || stderr != "" || !r.Works || len(r.Obstacles) > 0 || r.Processes == 0 || r.StoppedNs == 0 {
		t.Errorf("exit %d, stdout %q, stderr %q, %v", code, stdout, stderr, err)
	}
	g.runs(t, "after --check --json")
}

func TestReaderGoesAway(t *testing.T) {
	g := newTarget(t)
	for _, kill := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.CopyN(io.Discard, r, 1000)
			_ = r.Close()
		}()
		args := []string{"--cgroup", g.cgroup, "-d", "1"}
		if kill {
			args = append(args, "-k")
		}
		code, _, stderr := command(t, func(c *exec.Cmd) { c.Stdout = w }, args...)
		_ = w.Close()
		if code != 1 || !strings.Contains(stderr, "closed its end") || !strings.HasSuffix(stderr, "still runs; what descriptor 1 got is no complete statefile\n") {
			t.Errorf("exit %d, %q", code, stderr)
		}
		g.runs(t, "after the reader went")
	}
}

// TERM, INT and HUP at random instants: it runs on, and no file is left that
// is not complete.
func TestSignals(t *testing.T) {
	g := newTarget(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "state")
	ended := map[int]int{}
	for i := range 30 {
		sig := []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP}[i%3]
		code, _, stderr := command(t, func(c *exec.Cmd) {
			c.Args = append(c.Args, "-k") // must not come to it
			time.AfterFunc(time.Duration(i)*time.Millisecond, func() {
				if c.Process != nil {
					_ = c.Process.Signal(sig)
				}
			})
		}, "--cgroup", g.cgroup, "-S", file)
		ended[code]++
		switch code {
		case 0: // too late: it is killed
			if _, err := os.Stat(file); err != nil {
				t.Fatal(err)
			}
			t.Logf("exit codes %v until the signal came too late, after %d ms", ended, i)
			return
		case 1:
			if !strings.Contains(stderr, "interrupted by signal") || !strings.HasSuffix(stderr, " still runs; nothing was written\n") {
				t.Errorf("%v after %d ms: %q", sig, i, stderr)
			}
			noFile(t, sig.String(), dir)
		case -1: // before it listened
			noFile(t, sig.String(), dir)
		default:
			t.Errorf("exit %d, %q", code, stderr)
		}
		g.runs(t, sig.String())
	}
	t.Logf("exit codes %v", ended)
}

func TestPrintStatsAndLog(t *testing.T) {
	g := newTarget(t)
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	code, stdout, stderr := command(t, nil, "--cgroup", g.cgroup, "-S", filepath.Join(dir, "state"), "--print-stats", "-o", log, "-l", "TRACE")
	if code != 0 || stdout != "" || !strings.HasPrefix(stderr, "{") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "checkpoint is complete") {
		t.Errorf("log %q, %v", text, err)
	}
	if err := errors.Join(os.Remove(log)); err != nil {
		t.Error(err)
	}
	code, _, stderr = command(t, nil, "--cgroup", g.cgroup, "-S", "/dev/null", "-o", log, "-q")
	text, _ = os.ReadFile(log)
	if code != 1 || !strings.Contains(string(text), "level=ERROR") || stderr == "" {
		t.Errorf("exit %d, %q, log %q", code, stderr, text)
	}
}

// TestExternalName: only what can be outside has such a name.
func TestExternalName(t *testing.T) {
	for name, is := range map[string]bool{
		"pipe:[17]": true, "socket:[0]": true, "mount:/srv": true, "mount:/a:b": true,
		"": false, "pipe:": false, "pipe:[]": false, "pipe:[x]": false, "pipe:17": false, "pipe:[17": false, "pipe:[+1]": false,
		"mount:/": false, "mount:srv": false, "mount:": false, "file:[1]": false, "pipe": false,
	} {
		if isExternalName(name) != is {
			t.Errorf("%q: %v", name, !is)
		}
	}
}
