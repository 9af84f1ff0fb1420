package fds

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// makeNamespace opens a namespace that has been made before: the open file is a
// new one, its namespace the one that others are in.
func makeNamespace(_ context.Context, r *Restart, f *file) (int, error) {
	if r.Namespace == nil {
		return -1, errors.New("namespaces have not been made")
	}
	ns, err := r.Namespace(f.GetNamespace().Namespace)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a namespace of the container: %w", err)
	}
	return withFlags(fd, f.Flags)
}
