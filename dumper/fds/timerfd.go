package fds

import (
	"fmt"
	"math"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// lookTimerfd reads the timer from fdinfo (timerfd_show, fs/timerfd.c). The
// time that remains is the same on every clock, whatever the time namespace.
func lookTimerfd(_ *walk, f *file) error {
	t, err := parseTimerfd(f.info)
	if err != nil {
		return err
	}
	if t.IntervalNs != 0 && t.ValueNs == 0 && t.Ticks > 0 {
		// It has fired and nobody has read it: the kernel counts on only when
		// somebody asks. The program can't tell that we have.
		if t, err = settledTimerfd(f); err != nil {
			return err
		}
	}
	if t.Flags&unix.TFD_TIMER_ABSTIME != 0 && t.ValueNs != 0 && tellsTimeOfDay(t.Clock) {
		var now unix.Timespec
		if err := unix.ClockGettime(t.Clock, &now); err != nil {
			return fmt.Errorf("read the timer's clock %d: %w", t.Clock, err)
		}
		if t.DeadlineNs = now.Nano() + int64(t.ValueNs); t.DeadlineNs < 0 {
			t.DeadlineNs = math.MaxInt64 // the kernel's "never", KTIME_MAX
		}
	}
	f.Kind = &format.OpenFile_Timerfd{Timerfd: t}
	return nil
}

func settledTimerfd(f *file) (*format.Timerfd, error) {
	fd, err := f.copy()
	if err != nil {
		return nil, err
	}
	var now unix.ItimerSpec
	if err := unix.TimerfdGettime(fd, &now); err != nil {
		return nil, err
	}
	info, err := procfs.ReadFDInfo(f.PID, f.number)
	if err != nil {
		return nil, err
	}
	t, err := parseTimerfd(info)
	if err == nil && t.ValueNs == 0 {
		t.ValueNs = t.IntervalNs // so short an interval that it has fired once more
	}
	return t, err
}

// parseTimerfd parses the lines "clockid: 1", "ticks: 0", "settime flags: 01",
// "it_value: (0, 49406829)" and "it_interval: (1, 0)".
func parseTimerfd(info *procfs.FDInfo) (*format.Timerfd, error) {
	t := &format.Timerfd{}
	for _, line := range []struct {
		key   string
		parse func(string) error
	}{
		{"clockid", func(v string) (err error) { t.Clock, err = parse[int32](v, 10); return }},
		{"ticks", func(v string) (err error) { t.Ticks, err = parse[uint64](v, 10); return }},
		{"settime flags", func(v string) (err error) { t.Flags, err = parse[uint32](v, 8); return }},
		{"it_value", func(v string) (err error) { t.ValueNs, err = parsePair(v); return }},
		{"it_interval", func(v string) (err error) { t.IntervalNs, err = parsePair(v); return }},
	} {
		value, ok := info.Get(line.key)
		if !ok {
			return nil, fmt.Errorf("the kernel does not tell the timer's %q in fdinfo", line.key)
		}
		if err := line.parse(value); err != nil {
			return nil, fmt.Errorf("the kernel tells the timer's %q in a form that is not known: %q", line.key, value)
		}
	}
	return t, nil
}

func parse[T int32 | uint32 | uint64](text string, base int) (T, error) {
	n, err := strconv.ParseUint(text, base, 64)
	if err == nil && uint64(T(n)) != n {
		err = strconv.ErrRange
	}
	return T(n), err
}

// parsePair parses "(seconds, nanoseconds)".
func parsePair(text string) (uint64, error) {
	var seconds, ns uint64
	if _, err := fmt.Sscanf(text, "(%d, %d)", &seconds, &ns); err != nil {
		return 0, err
	}
	if seconds > math.MaxInt64/1_000_000_000-1 {
		return math.MaxInt64, nil
	}
	return seconds*1e9 + ns, nil
}

// tellsTimeOfDay says whether a clock goes on while a container is away.
func tellsTimeOfDay(clock int32) bool {
	return clock == unix.CLOCK_REALTIME || clock == unix.CLOCK_REALTIME_ALARM
}
