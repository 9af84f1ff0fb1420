package freezer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// v2 is a cgroup of the v2 hierarchy (cgroup.freeze, cgroup.events in
// Documentation/admin-guide/cgroup-v2.rst; Linux 5.2).
type v2 struct{ dir string }

func (f *v2) Path() string { return f.dir }
func (f *v2) Version() int { return 2 }

func (f *v2) State() (State, error) {
	frozen, err := f.frozen()
	if err != nil {
		return Thawed, err
	}
	switch {
	case frozen:
		return Frozen, nil
	case f.self():
		return Freezing, nil
	}
	return Thawed, nil
}

// frozen reads the line "frozen" of cgroup.events: it says what the tasks
// really do. cgroup.freeze only says what they were told.
func (f *v2) frozen() (bool, error) {
	text, err := readWord(filepath.Join(f.dir, "cgroup.events"))
	if err != nil {
		return false, fmt.Errorf("state of the cgroup %s: %w", f.dir, err)
	}
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "frozen "); found {
			return value == "1", nil
		}
	}
	return false, fmt.Errorf("state of the cgroup %s: cgroup.events has no line \"frozen\"; the freezer of v2 needs Linux 5.2", f.dir)
}

// self tells whether this cgroup itself, not one above it, was told to freeze.
func (f *v2) self() bool {
	word, err := readWord(filepath.Join(f.dir, "cgroup.freeze"))
	return err == nil && word == "1"
}

func (f *v2) write(word string) error {
	return write(filepath.Join(f.dir, "cgroup.freeze"), word)
}

func (f *v2) Freeze(ctx context.Context) (err error) {
	wasFreezing := f.self()
	defer func() {
		if err != nil && !wasFreezing {
			if e := f.write("0"); e != nil {
				err = errors.Join(err, fmt.Errorf("cgroup %s was left freezing: %w", f.dir, e))
			}
		}
	}()
	if err := f.write("1"); err != nil {
		return fmt.Errorf("cgroup %s cannot be frozen: %w", f.dir, err)
	}
	err = wait(ctx, f.frozen)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("cgroup %s did not freeze %s%s: %w", f.dir, notInTime(err), laggards(f.dir, 2), err)
	}
	return err
}

func (f *v2) Thaw(ctx context.Context) error {
	if err := f.write("0"); err != nil {
		return fmt.Errorf("cgroup %s cannot be thawed: %w", f.dir, err)
	}
	err := wait(ctx, func() (bool, error) {
		frozen, err := f.frozen()
		if !frozen || err != nil {
			return true, err
		}
		above := frozenAncestor(f.dir, func(dir string) bool { return (&v2{dir}).self() })
		if above != "" {
			return true, &FrozenAboveError{Path: f.dir, Above: above}
		}
		return false, nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("cgroup %s did not thaw %s: %w", f.dir, notInTime(err), err)
	}
	return err
}
