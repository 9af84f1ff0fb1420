// Package need names what a test needs of the machine, checks each need once,
// and says what to do where it is missing.
//
// A missing need skips the test with the reason; under CI=true it fails it,
// because there everything has to be installed and nothing may go untested.
package need

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// Need is something that a test cannot do without.
type Need struct {
	name   string // "root", "gdb"
	remedy string
	// missing returns why it is not there, or nil.
	missing func() error
}

// Missing returns why the need is not met on this machine and what to do about
// it; nil if it is met.
func (n *Need) Missing() error {
	if err := n.missing(); err != nil {
		return fmt.Errorf("needs %s: %w; %s", n.name, err, n.remedy)
	}
	return nil
}

// InCI tells whether a missing need is a failure: CI=true.
func InCI() bool { return os.Getenv("CI") == "true" }

// Check ends the test if one of the needs is not met: it skips it, or, in CI,
// fails it.
func Check(t testing.TB, needs ...*Need) {
	t.Helper()
	for _, n := range needs {
		err := n.Missing()
		switch {
		case err == nil:
		case InCI():
			t.Fatalf("%v (in CI nothing may be missing)", err)
		default:
			t.Skip(err)
		}
	}
}

func once(name, remedy string, missing func() error) *Need {
	return &Need{name: name, remedy: remedy, missing: sync.OnceValue(missing)}
}
