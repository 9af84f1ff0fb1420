package freezer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// v1 is a cgroup of the v1 freezer hierarchy
// (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).
type v1 struct{ dir string }

func (f *v1) Path() string { return f.dir }
func (f *v1) Version() int { return 1 }

func (f *v1) State() (State, error) {
	word, err := readWord(filepath.Join(f.dir, "freezer.state"))
	if err != nil {
		return Thawed, fmt.Errorf("state of the cgroup %s: %w", f.dir, err)
	}
	switch word {
	case "THAWED":
		return Thawed, nil
	case "FREEZING":
		return Freezing, nil
	case "FROZEN":
		return Frozen, nil
	}
	return Thawed, fmt.Errorf("state of the cgroup %s: %q is none that the kernel documents", f.dir, word)
}

func (f *v1) write(word string) error {
	return write(filepath.Join(f.dir, "freezer.state"), word)
}

// self tells whether this cgroup itself, not one above it, was told to freeze.
func (f *v1) self() bool {
	word, err := readWord(filepath.Join(f.dir, "freezer.self_freezing"))
	return err == nil && word == "1"
}

// A freezer can stay FREEZING for as long as a task sleeps in a way that only
// other, already frozen tasks end (a FUSE server, a vfork child). Letting all
// go for a moment and trying again solves that, so Freeze does it this often.
const again = 100 * time.Millisecond

func (f *v1) Freeze(ctx context.Context) (err error) {
	wasFreezing := f.self()
	defer func() {
		if err != nil && !wasFreezing {
			if e := f.write("THAWED"); e != nil {
				err = errors.Join(err, fmt.Errorf("cgroup %s was left freezing: %w", f.dir, e))
			}
		}
	}()
	if err := f.write("FROZEN"); err != nil {
		return fmt.Errorf("cgroup %s cannot be frozen: %w", f.dir, err)
	}
	last := time.Now()
	err = wait(ctx, func() (bool, error) {
		s, err := f.State()
		if s == Frozen || err != nil {
			return true, err
		}
		if time.Since(last) < again || wasFreezing {
			return false, nil
		}
		last = time.Now()
		if err := f.write("THAWED"); err != nil {
			return false, err
		}
		time.Sleep(time.Millisecond)
		return false, f.write("FROZEN")
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("cgroup %s did not freeze %s%s: %w", f.dir, notInTime(err), laggards(f.dir, 1), err)
	}
	return err
}

func (f *v1) Thaw(ctx context.Context) error {
	if err := f.write("THAWED"); err != nil {
		return fmt.Errorf("cgroup %s cannot be thawed: %w", f.dir, err)
	}
	err := wait(ctx, func() (bool, error) {
		s, err := f.State()
		if s == Thawed || err != nil {
			return true, err
		}
		// Nothing but a cgroup above keeps it frozen now.
		word, err := readWord(filepath.Join(f.dir, "freezer.parent_freezing"))
		if err == nil && word == "1" {
			above := frozenAncestor(f.dir, func(dir string) bool { return (&v1{dir}).self() })
			return true, &FrozenAboveError{Path: f.dir, Above: above}
		}
		return false, nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("cgroup %s did not thaw %s: %w", f.dir, notInTime(err), err)
	}
	return err
}
