package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// measure is what a command took.
type measure struct {
	took   time.Duration
	memory int64 // bytes at most
}

// measureVariable, set, makes the test binary run another command and write
// what that took to the file it names. The kernel counts the memory of a process
// from before its exec, when it still is its parent's: only a small parent can
// measure a child, and a test that has read statefiles is none.
const measureVariable = "LXC_CHECKPOINT_MEASURE"

// measured runs one of our commands, which has to succeed silently.
func measured(t *testing.T, tool string, args ...string) measure {
	t.Helper()
	return measuredProgram(t, append([]string{harness.Tool(t, tool)}, args...)...)
}

// measuredProgram is measured for any program; what it takes is what the
// largest of its processes takes.
func measuredProgram(t *testing.T, args ...string) measure {
	t.Helper()
	file := filepath.Join(t.TempDir(), "measure")
	r := harness.RunWith(t, func(c *exec.Cmd) { c.Env = append(os.Environ(), measureVariable+"="+file) },
		os.Args[0], args...)
	if r.Code != 0 || r.Stdout != "" || r.Stderr != "" {
		t.Fatalf("it should succeed silently: %v", r)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var m measure
	if _, err := fmt.Sscan(string(text), (*int64)(&m.took), &m.memory); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return m
}

// measureChild is the small parent.
func measureChild(file string) (code int) {
	c := exec.Command(os.Args[1], os.Args[2:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	begin := time.Now()
	err := c.Run()
	took := time.Since(begin)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &usage); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.WriteFile(file, fmt.Appendln(nil, int64(took), usage.Maxrss*1024), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return c.ProcessState.ExitCode()
}
