package fds

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

func makeSignalfd(_ context.Context, _ *Restart, f *file) (int, error) {
	var set unix.Sigset_t
	set.Val[0] = f.GetSignalfd().GetMask()
	fd, err := unix.Signalfd(-1, &set, unix.SFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("signalfd: %w", err)
	}
	return withFlags(fd, f.Flags)
}
