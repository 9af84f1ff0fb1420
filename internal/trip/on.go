//go:build trip

package trip

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

// The environment says what is to fail: a step by its name, or a call by its
// number, from 1; and to which file to write which steps there are.
var (
	step  = os.Getenv("LXC_RESTART_TRIP_STEP")
	call  = os.Getenv("LXC_RESTART_TRIP_CALL")
	list  = os.Getenv("LXC_RESTART_TRIP_LIST")
	calls atomic.Int64
)

// errTripped is what goes wrong.
var errTripped = errors.New("tripped")

// At fails at a step, if that is the one that is to fail.
func At(name string) error {
	tell(name)
	if name == step {
		return fmt.Errorf("after %q: %w", name, errTripped)
	}
	return nil
}

// Call fails at a call that a process is to make, if that is the one that is to fail.
func Call() error {
	n := strconv.FormatInt(calls.Add(1), 10)
	tell("")
	if n == call {
		return fmt.Errorf("at call %s: %w", n, errTripped)
	}
	return nil
}

// tell adds a line to the list: a step's name, or nothing for a call.
func tell(name string) {
	if list == "" {
		return
	}
	f, err := os.OpenFile(list, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, name); err != nil {
		panic(err)
	}
}
