package fds

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// makeRegular opens the file by its path and seeks to where it was.
func makeRegular(_ context.Context, r *Restart, f *file) (int, error) {
	fd, err := r.openAndSeek(f, f.GetRegular())
	if err != nil || f.Pressure == nil {
		return fd, err
	}
	// Not later: who waits for the file by epoll begins to when it is added there.
	if err := waitForPressure(fd, f.Pressure); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("wait for the pressure that %s tells of: %w", f.GetRegular().Path, err)
	}
	return fd, nil
}

func waitForPressure(fd int, t *format.PressureTrigger) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return err
	}
	if fs.Type != unix.PROC_SUPER_MAGIC && fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return errors.New("it is an ordinary file here")
	}
	_, err := unix.Write(fd, trigger(t))
	return err
}

// trigger is what a program writes into a file of pressure
// (Documentation/accounting/psi.rst).
func trigger(t *format.PressureTrigger) []byte {
	what := "some"
	if t.Full {
		what = "full"
	}
	return fmt.Appendf(nil, "%s %d %d\x00", what, t.ThresholdUs, t.WindowUs)
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
