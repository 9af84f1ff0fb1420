package procfs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// TimeOffsets are what a time namespace adds to the kernel's clocks, in
// nanoseconds.
type TimeOffsets struct{ Monotonic, Boottime int64 }

// Text are the offsets as timens_offsets takes them.
func (o TimeOffsets) Text() string {
	line := func(clock string, ns int64) string {
		seconds := ns / 1e9
		if ns%1e9 < 0 {
			seconds--
		}
		return fmt.Sprintf("%s %d %d\n", clock, seconds, ns-seconds*1e9)
	}
	return line("monotonic", o.Monotonic) + line("boottime", o.Boottime)
}

// ReadTimeOffsets reads /proc/PID/timens_offsets, which tells of the time
// namespace that the process's children will be in.
func ReadTimeOffsets(pid int) (TimeOffsets, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/timens_offsets", pid))
	if err != nil {
		return TimeOffsets{}, err
	}
	return ParseTimeOffsets(string(text))
}

// ParseTimeOffsets parses lines "monotonic SECONDS NANOSECONDS".
func ParseTimeOffsets(text string) (o TimeOffsets, err error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return o, fmt.Errorf("a line of timens_offsets is not as time_namespaces(7) has it: %q", line)
		}
		s, err1 := strconv.ParseInt(f[1], 10, 64)
		ns, err2 := strconv.ParseInt(f[2], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return o, fmt.Errorf("a line of timens_offsets is not as time_namespaces(7) has it: %q", line)
		}
		switch f[0] {
		case "monotonic":
			o.Monotonic = s*1e9 + ns
		case "boottime":
			o.Boottime = s*1e9 + ns
		}
	}
	return o, nil
}
