// Package harness is what the tests of whole commands have in common: running
// them, starting containers without LXC, and leaving nothing behind.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Result is what a command did.
type Result struct {
	Line           string // the command line
	Code           int    // exit code, -1 if a signal ended it
	Stdout, Stderr string
	Took           time.Duration
	PeakMemory     int64 // bytes of resident memory at most
}

func (r *Result) String() string {
	return fmt.Sprintf("%s: exit %d after %v\n%s%s", r.Line, r.Code, r.Took.Round(time.Millisecond), r.Stdout, r.Stderr)
}

// Root is the directory of the module.
var Root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return "."
})

// Tool returns the path of one of our commands, as make built it, or as the
// environment says (LXC_CHECKPOINT_BIN, a directory).
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := FindTool(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// FindTool is Tool without a test.
func FindTool(name string) (string, error) {
	dir := os.Getenv("LXC_CHECKPOINT_BIN")
	if dir == "" {
		dir = filepath.Join(Root(), "bin")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run make first", err)
	}
	return path, nil
}

// Acceptance tells whether everything is to be tried as often as the project
// promises, which takes hours, and not just a few times.
func Acceptance() bool { return os.Getenv("LXC_CHECKPOINT_TEST") == "acceptance" }

// Rounds is how often to try something: few times, or as the project promises.
func Rounds(few, all int) int {
	if Acceptance() {
		return all
	}
	return few
}

// Patience is how long to wait for what takes d on an ordinary machine: longer
// under emulation.
func Patience(d time.Duration) time.Duration { return d * time.Duration(slowness()) }

// Slow tells whether this is no ordinary machine but an emulated one.
func Slow() bool { return slowness() > 1 }

// slowness is the factor in LXC_CHECKPOINT_SLOW by which all takes longer.
func slowness() int {
	factor, err := strconv.Atoi(os.Getenv("LXC_CHECKPOINT_SLOW"))
	if err != nil {
		return 1
	}
	return max(factor, 1)
}

// Limit is what no command may take.
func Limit() time.Duration { return Patience(2 * time.Minute) }

// Run runs a program to its end; one that does not end fails the test.
func Run(t testing.TB, name string, args ...string) *Result {
	t.Helper()
	return RunWith(t, nil, name, args...)
}

// RunWith is Run with a chance to change how the program is started.
func RunWith(t testing.TB, prepare func(*exec.Cmd), name string, args ...string) *Result {
	t.Helper()
	r, err := Exec(prepare, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Exec is RunWith without a test.
func Exec(prepare func(*exec.Cmd), name string, args ...string) (*Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Limit())
	defer cancel()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	// A daemon that it leaves may keep its output open.
	c.WaitDelay = 2 * time.Second
	if prepare != nil {
		prepare(c)
	}
	r := &Result{Line: strings.Join(append([]string{filepath.Base(name)}, args...), " ")}
	begin := time.Now()
	err := c.Run()
	r.Took = time.Since(begin)
	r.Stdout, r.Stderr = stdout.String(), stderr.String()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: still running after %v\n%s%s", r.Line, Limit(), r.Stdout, r.Stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, fmt.Errorf("%s: %w", r.Line, err)
	}
	r.Code = c.ProcessState.ExitCode()
	if usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.PeakMemory = usage.Maxrss * 1024
	}
	return r, nil
}

// Must runs a program that has to succeed and returns what it wrote.
func Must(t testing.TB, name string, args ...string) string {
	t.Helper()
	r := Run(t, name, args...)
	if r.Code != 0 {
		t.Fatal(r)
	}
	return r.Stdout
}

// Silent runs one of our commands, which has to succeed and say nothing.
func Silent(t testing.TB, tool string, args ...string) *Result {
	t.Helper()
	r := Run(t, Tool(t, tool), args...)
	if r.Code != 0 || r.Stdout != "" || r.Stderr != "" {
		t.Fatalf("it should succeed silently: %v", r)
	}
	return r
}

// Until waits until something is so, and fails the test if it never is.
func Until(t testing.TB, what string, d time.Duration, so func() bool) {
	t.Helper()
	if !Wait(d, so) {
		t.Fatalf("waited %v for %s", Patience(d), what)
	}
}

// Wait waits at most d until something is so, and returns whether it is.
func Wait(d time.Duration, so func() bool) bool {
	for end := time.Now().Add(Patience(d)); ; time.Sleep(5 * time.Millisecond) {
		if so() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
