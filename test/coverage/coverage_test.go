package coverage

import (
	"slices"
	"testing"
)

// TestKinds: every row of the real file is in a kind, and counted once.
func TestKinds(t *testing.T) {
	rows, err := Read("../../docs/coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 200 {
		t.Fatalf("%d rows", len(rows))
	}
	all := 0
	for _, k := range Kinds(rows) {
		n := k.Kept + k.Refused + k.Lost + k.Unseen
		if all += n; n == 0 {
			t.Errorf("%s has no row", k.Name)
		}
	}
	if all != len(rows) {
		t.Errorf("%d rows, of which %d are of a kind", len(rows), all)
	}
}

// TestNames: what is a test's name, and what is another word.
func TestNames(t *testing.T) {
	target := func(name string) bool { return name == "fd_pipe" || name == "refused/traced" || name == "fork" }
	r := Row{Why: "`fd_pipe`, refused/traced; TestX in restorer/fds, no_test, and fork as a word"}
	if got := r.Tests(target); !slices.Equal(got, []string{"fd_pipe", "refused/traced", "TestX", "fork"}) {
		t.Errorf("%q", got)
	}
}
