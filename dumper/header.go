package dumper

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/internal/vdso"
)

// header says where and when the checkpoint was made. monotonic and boottime
// are the offsets in nanoseconds of the container's clocks against ours.
func header(tool string, monotonic, boottime int64) (*format.Header, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, os.NewSyscallError("uname", err)
	}
	h := &format.Header{
		Architecture:  runtime.GOARCH,
		KernelRelease: unix.ByteSliceToString(u.Release[:]),
		PageSize:      uint32(os.Getpagesize()),
		ToolVersion:   tool,
	}
	var err, err1, err2 error
	h.XsaveMask, err1 = sys.XsaveMask()
	h.XsaveSize, err2 = sys.XsaveSize()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("ask this CPU for the size of its registers: %w", err)
	}
	if h.VdsoDigest, err = vdso.Digest(); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		clock  int32
		offset int64
		to     *int64
	}{
		{unix.CLOCK_REALTIME, 0, &h.TimeNs},
		{unix.CLOCK_MONOTONIC, monotonic, &h.MonotonicNs},
		{unix.CLOCK_BOOTTIME, boottime, &h.BoottimeNs},
	} {
		var t unix.Timespec
		if err := unix.ClockGettime(c.clock, &t); err != nil {
			return nil, os.NewSyscallError("clock_gettime", err)
		}
		*c.to = t.Nano() + c.offset
	}
	return h, nil
}
