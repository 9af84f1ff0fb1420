package fds

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Memory has the inodes without a path (memory.Backing).
type Memory interface {
	// OpenFile makes an open file of one, as a descriptor of ours.
	OpenFile(id uint32, flags uint32) (fd int, err error)
}

// makeMemory opens a memfd or a removed file, which is there already, and seeks
// to where it was.
func makeMemory(_ context.Context, r *Restart, f *file) (int, error) {
	if r.Memory == nil {
		return -1, errors.New("nobody has made its memory")
	}
	fd, err := r.Memory.OpenFile(f.GetMemory().GetSharedMemory(), f.Flags)
	if err != nil || f.Position == 0 || f.Flags&unix.O_PATH != 0 {
		return fd, err
	}
	if _, err := unix.Seek(fd, f.Position, unix.SEEK_SET); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set its position to %d: %w", f.Position, err)
	}
	return fd, nil
}
