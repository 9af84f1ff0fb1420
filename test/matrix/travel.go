package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// travelTest is the test that has two halves, each on its kernel.
const travelTest = "TestTravel"

// travel has the targets checkpointed on one kernel and restarted on another:
// what the first half leaves comes out of its guest by a serial line, and goes
// into the second one's file system.
func (m *matrix) travel(ctx context.Context, from, to *kernel) *result {
	r := &result{kernel: from.name + " to " + to.name}
	out := filepath.Join(m.dir, "travel")
	defer os.Remove(out)
	m.boot(ctx, r, from, &payload{pattern: travelTest, travel: new([]byte)}, "-serial", "file:"+out)
	if !r.well() {
		return r
	}
	left, err := os.ReadFile(out)
	if err == nil && !bytes.HasPrefix(left, []byte{0x1f, 0x8b}) { // gzip
		err = errors.New("it is no archive")
	}
	if err != nil {
		r.problem = fmt.Errorf("take what kernel %s has made: %w", from.name, err)
		return r
	}
	m.boot(ctx, r, to, &payload{pattern: travelTest, travel: &left})
	return r
}
