// Package clocks reads the kernel's clocks, and says what they show in a time
// namespace: the arithmetic of all that has a deadline.
package clocks

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
)

// Times are what the clocks show at one moment, in nanoseconds.
type Times struct{ Realtime, Monotonic, Boottime, TAI int64 }

// Now reads them as they are in the first time namespace, whichever one we are
// in. That is how the kernel itself keeps deadlines.
func Now() (Times, error) {
	var t Times
	for _, c := range []struct {
		clock int32
		to    *int64
	}{
		{unix.CLOCK_REALTIME, &t.Realtime}, {unix.CLOCK_MONOTONIC, &t.Monotonic},
		{unix.CLOCK_BOOTTIME, &t.Boottime}, {unix.CLOCK_TAI, &t.TAI},
	} {
		var ts unix.Timespec
		if err := unix.ClockGettime(c.clock, &ts); err != nil {
			return t, os.NewSyscallError("clock_gettime", err)
		}
		*c.to = ts.Nano()
	}
	ours, err := procfs.ReadTimeOffsets(os.Getpid())
	if errors.Is(err, os.ErrNotExist) { // a kernel without time namespaces
		return t, nil
	}
	return t.Shifted(procfs.TimeOffsets{Monotonic: -ours.Monotonic, Boottime: -ours.Boottime}), err
}

// Shifted are the times in a time namespace with these offsets.
func (t Times) Shifted(by procfs.TimeOffsets) Times {
	t.Monotonic += by.Monotonic
	t.Boottime += by.Boottime
	return t
}

// Of is the time that a clock shows; ok is false for one that is not the
// system's: a CPU clock, or one of a device.
func (t Times) Of(clock int32) (ns int64, ok bool) {
	switch clock {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_REALTIME_COARSE:
		return t.Realtime, true
	case unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_MONOTONIC_COARSE:
		return t.Monotonic, true
	case unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
		return t.Boottime, true
	case unix.CLOCK_TAI:
		return t.TAI, true
	}
	return 0, false
}

// BootID tells one run of the kernel from any other.
func BootID() (string, error) {
	b, err := procfs.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	if len(b) < 36 {
		return "", fmt.Errorf("/proc/sys/kernel/random/boot_id is not as random(4) has it: %q", b)
	}
	return string(b[:36]), nil
}
