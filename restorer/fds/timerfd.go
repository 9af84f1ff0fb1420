package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

func makeTimerfd(_ context.Context, _ *Restart, f *file) (int, error) {
	m := f.GetTimerfd()
	fd, err := unix.TimerfdCreate(int(m.Clock), unix.TFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("timerfd_create for clock %d: %w", m.Clock, err)
	}
	return withFlags(fd, f.Flags)
}

// armTimerfd starts the timer with what remained, or, where the program gave a
// time of the day, for that time. Then it counts what nobody had read.
func armTimerfd(_ *Restart, f *file) error {
	m := f.GetTimerfd()
	if m.ValueNs != 0 || m.Flags != 0 {
		value := m.ValueNs
		if m.Flags&unix.TFD_TIMER_ABSTIME != 0 && value != 0 {
			var err error
			if value, err = absolute(m.Clock, m.ValueNs, m.DeadlineNs); err != nil {
				return err
			}
		}
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(value)), Interval: unix.NsecToTimespec(int64(m.IntervalNs))}
		if err := unix.TimerfdSettime(f.fd, int(m.Flags), &spec, nil); err != nil {
			return fmt.Errorf("start the timer of clock %d, flags %#x: %w", m.Clock, m.Flags, err)
		}
	}
	if m.Ticks == 0 {
		return nil
	}
	ticks := binary.NativeEndian.AppendUint64(nil, m.Ticks)
	if err := sys.IoctlBytes(f.fd, sys.TFD_IOC_SET_TICKS, ticks); errors.Is(err, unix.ENOTTY) {
		return errors.New("this kernel can't set the expirations that were not read: it needs CONFIG_CHECKPOINT_RESTORE")
	} else if err != nil {
		return fmt.Errorf("set its %d expirations: %w", m.Ticks, err)
	}
	return nil
}

// absolute is the deadline if there is one, or else what remains from now on.
func absolute(clock int32, remains uint64, deadline int64) (uint64, error) {
	if deadline != 0 {
		return uint64(max(deadline, 1)), nil
	}
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, fmt.Errorf("read clock %d: %w", clock, err)
	}
	if remains > math.MaxInt64-uint64(now.Nano()) {
		return math.MaxInt64, nil
	}
	return uint64(now.Nano()) + remains, nil
}
