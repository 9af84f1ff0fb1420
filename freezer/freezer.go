// Package freezer freezes and thaws a cgroup with all that is below it: the
// v1 freezer (freezer.state) and v2 (cgroup.freeze) behind one interface.
//
// The two differ in what a tracer sees: a task frozen by v1 enters a
// ptrace-stop only after the thaw and dies of SIGKILL only then; one frozen
// by v2 does both at once (kernel/cgroup/legacy_freezer.c, kernel/cgroup/freezer.c).
package freezer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// State is what a cgroup's freezer says.
type State int

const (
	Thawed   State = iota // its tasks run
	Freezing              // it was told to freeze, some task has not yet stopped
	Frozen                // none of its tasks runs
)

func (s State) String() string {
	switch s {
	case Thawed:
		return "thawed"
	case Freezing:
		return "freezing"
	case Frozen:
		return "frozen"
	}
	return fmt.Sprintf("freezer.State(%d)", int(s))
}

// A Freezer freezes and thaws one cgroup. Its methods may be called from any
// goroutine, but not two at a time.
type Freezer interface {
	// Freeze returns nil when every task stands frozen. If ctx ends before,
	// the cgroup is thawed again (unless it was told to freeze already when
	// Freeze was called) and the error names the tasks that did not stop.
	Freeze(ctx context.Context) error
	// Thaw returns nil when the tasks run again. It fails with a
	// *FrozenAboveError if a cgroup above this one is frozen.
	Thaw(ctx context.Context) error
	State() (State, error)
	Path() string // the cgroup's absolute directory
	Version() int // 1 or 2
}

// FrozenAboveError says that a cgroup cannot be thawed because one above it
// is frozen.
type FrozenAboveError struct {
	Path  string // the cgroup that was to thaw
	Above string // the one that is frozen; empty if it could not be told
}

func (e *FrozenAboveError) Error() string {
	if e.Above == "" {
		return fmt.Sprintf("cgroup %s stays frozen because a cgroup above it is frozen: thaw that first", e.Path)
	}
	return fmt.Sprintf("cgroup %s stays frozen because %s above it is frozen: thaw that first", e.Path, e.Above)
}

// Open takes the absolute directory of a cgroup in a v1 freezer hierarchy or
// in the v2 hierarchy. The root of a hierarchy has no freezer and is an error.
func Open(dir string) (Freezer, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("cgroup %q: the directory has to be an absolute path", dir)
	}
	dir = filepath.Clean(dir)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, fmt.Errorf("cgroup %s: %w", dir, err)
	}
	switch fs.Type {
	case unix.CGROUP_SUPER_MAGIC:
		if _, err := os.Stat(filepath.Join(dir, "freezer.state")); err != nil {
			return nil, noFreezer(dir, err, "it is the root of the v1 hierarchy or the hierarchy is not the freezer's: name a cgroup below the freezer's root")
		}
		return &v1{dir: dir}, nil
	case unix.CGROUP2_SUPER_MAGIC:
		if _, err := os.Stat(filepath.Join(dir, "cgroup.freeze")); err != nil {
			return nil, noFreezer(dir, err, "it is the root of the v2 hierarchy (name a cgroup below it) or the kernel is older than 5.2")
		}
		return &v2{dir: dir}, nil
	}
	return nil, fmt.Errorf("%s is not a cgroup: its file system is neither cgroup nor cgroup2", dir)
}

func noFreezer(dir string, err error, why string) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cgroup %s cannot be frozen: %s", dir, why)
	}
	return fmt.Errorf("cgroup %s: %w", dir, err)
}

// wait calls done until it is true, an error comes, or ctx ends: at first
// every 50 µs, later every 10 ms. It returns ctx's error in the last case.
func wait(ctx context.Context, done func() (bool, error)) error {
	pause := 50 * time.Microsecond
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause = min(2*pause, 10*time.Millisecond)
	}
}

// notInTime makes ctx's error a sentence.
func notInTime(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "in time"
	}
	return "before the interruption"
}

// frozenAncestor returns the nearest cgroup above dir for which frozen is
// true, or "".
func frozenAncestor(dir string, frozen func(dir string) bool) string {
	for dir = filepath.Dir(dir); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if frozen(dir) {
			return dir
		}
	}
	return ""
}

func readWord(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// write writes to a cgroup's file, which must exist: os.WriteFile's O_CREATE
// gives a misleading EACCES in a cgroup that has been removed.
func write(path, word string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(word)
	return errors.Join(err, f.Close())
}
