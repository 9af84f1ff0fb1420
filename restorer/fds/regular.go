package fds

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// makeRegular opens the file by its path and seeks to where it was.
func makeRegular(_ context.Context, r *Restart, f *file) (int, error) {
	return r.openAndSeek(f, f.GetRegular())
}

// openAndSeek opens a file that has a path, with the flags of the open file,
// and sets its position.
func (r *Restart) openAndSeek(f *file, id *format.FileIdentity) (int, error) {
	fd, err := r.OpenData(id, int(f.Flags))
	if err != nil {
		return -1, err
	}
	if f.Position == 0 || f.Flags&unix.O_PATH != 0 {
		return fd, nil
	}
	if _, err := unix.Seek(fd, f.Position, unix.SEEK_SET); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set the position of %s to %d: %w", id.Path, f.Position, err)
	}
	return fd, nil
}
