package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCompare: a test that the table names and that did not run is a failure;
// one that was skipped is counted.
func TestCompare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "coverage.md")
	table := "## X\n\n| what | is | test, or why |\n|---|---|---|\n" +
		"| a | restored | `fd_pipe`, TestLaw in restorer/fds |\n| b | refused | refused/traced |\n| c | restored | TestGone |\n| d | lost | no call sets it |\n"
	if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	var events strings.Builder
	for _, e := range []struct{ pack, test, action string }{
		{"m/test/targets", "TestKill/fd_pipe", "pass"}, {"m/test/targets", "TestContainer/fd_pipe", "skip"},
		{"m/test/targets", "TestRefused/traced", "skip"}, {"m/restorer/fds", "TestLaw", "pass"},
	} {
		fmt.Fprintf(&events, "{\"Action\":%q,\"Package\":%q,\"Test\":%q}\n", e.action, e.pack, e.test)
	}
	var out strings.Builder
	teller := newTeller(&out)
	if err := teller.tell(strings.NewReader(events.String())); err != nil {
		t.Fatal(err)
	}
	if err := teller.compare(file); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "4 rows; of 1 a test passed, of 1 all were skipped") {
		t.Errorf("it tells %q", out.String())
	}
	if len(teller.failed) != 1 || !slices.ContainsFunc(teller.failed, func(s string) bool { return strings.Contains(s, "TestGone, which did not run") }) {
		t.Errorf("failed: %q", teller.failed)
	}
}
