// Package faults takes what can go wrong around a checkpoint and a restart, and
// what is large: damaged statefiles, ends of lxc-checkpoint at any instant,
// outputs that fail, containers at the sizes that the project promises. The
// containers are made without LXC (test/harness).
package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(measureVariable); file != "" {
		os.Exit(measureChild(file))
	}
	// Orphans become our children, so that we can wait for their end.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	if left := append(harness.Leftovers(), children()...); len(left) > 0 {
		fmt.Println("left behind:", strings.Join(left, ", "))
		code = 1
	}
	os.Exit(code)
}

// children lists the processes below this one: whatever a restart has made is
// its child when the restart has ended.
func children() []string {
	var all []string
	for _, pid := range descendants(os.Getpid()) {
		all = append(all, fmt.Sprintf("process %d (%s), %s", pid, status(pid, "Name"), status(pid, "State")))
	}
	return all
}

// descendants are the children of a process, their children and so on.
func descendants(pid int) []int {
	var pids []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for word := range strings.FieldsSeq(string(text)) {
			child, _ := strconv.Atoi(word)
			pids = append(append(pids, child), descendants(child)...)
		}
	}
	return pids
}

// allGone tells whether processes have ended. It takes the statuses of those
// that are our children, as orphans are.
func allGone(pids []int) bool {
	for _, pid := range pids {
		var s unix.WaitStatus
		got, err := unix.Wait4(pid, &s, unix.WNOHANG, nil)
		if got != pid && (err == nil || unix.Kill(pid, 0) == nil) {
			return false
		}
	}
	return true
}

// status returns a field of /proc/PID/status, "" if there is no such process.
func status(pid int, key string) string {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
