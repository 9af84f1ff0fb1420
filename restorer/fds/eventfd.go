package fds

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// makeEventfd makes the eventfd and counts it up (eventfd(2)): the initial
// value has 32 bits only, the counter 64.
func makeEventfd(_ context.Context, r *Restart, f *file) (int, error) {
	m := f.GetEventfd()
	if m.Count == math.MaxUint64 {
		// Only the kernel itself can bring it there (eventfd_signal).
		return -1, fmt.Errorf("its count %d cannot be set: the largest one is %d", m.Count, uint64(math.MaxUint64-1))
	}
	flags := unix.EFD_CLOEXEC
	if m.Semaphore {
		flags |= unix.EFD_SEMAPHORE
	}
	fd, err := unix.Eventfd(0, flags)
	if err != nil {
		return -1, fmt.Errorf("eventfd: %w", err)
	}
	if m.Count > 0 {
		b := binary.NativeEndian.AppendUint64(nil, m.Count)
		if err := retry(func() error { _, err := unix.Write(fd, b); return err }); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("set its count to %d: %w", m.Count, err)
		}
	}
	return withFlags(fd, f.Flags)
}
