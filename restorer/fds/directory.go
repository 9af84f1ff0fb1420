package fds

import (
	"context"

	"golang.org/x/sys/unix"
)

// makeDirectory opens the directory by its path. Its position is the file
// system's own mark of how far getdents(2) has come, d_off: it is good for this
// directory, not for a copy of it.
func makeDirectory(_ context.Context, r *Restart, f *file) (int, error) {
	id := f.GetDirectory()
	fd, err := r.openAndSeek(f, id)
	if err != nil || f.Position == 0 {
		return fd, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && (st.Ino != id.Inode || deviceNumber(st.Dev) != id.Device) {
		r.log.Warn("a directory was being read at the checkpoint and is another one now: its reader may miss or repeat entries",
			"path", id.Path, "was", describe(identityWas(id)), "is", describe(identityIs(&st)))
	}
	return fd, nil
}
