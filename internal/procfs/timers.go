package procfs

import (
	"fmt"
	"strings"
)

// Timer is a timer of timer_create(2), as /proc/PID/timers has it.
type Timer struct {
	ID     uint32
	Signal uint32
	Value  uint64 // sigev_value
	Notify string // "signal", "none" or "thread"
	Thread int    // that gets the signal, in the reader's pid namespace; -1: the process
	Clock  int32
}

// ReadTimers reads /proc/PID/timers, which a kernel without
// CONFIG_CHECKPOINT_RESTORE does not have.
func ReadTimers(pid int) ([]Timer, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/timers", pid))
	if err != nil {
		return nil, err
	}
	return ParseTimers(string(text))
}

// ParseTimers parses lines in fours: "ID: 1", "signal: 14/0000000000000008",
// "notify: signal/pid.28472" or "none/pid.…" or "signal/tid.…", "ClockID: 1".
func ParseTimers(text string) (timers []Timer, err error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if lines[0] == "" {
		return nil, nil
	}
	for ; len(lines) >= 4; lines = lines[4:] {
		t := Timer{Thread: -1}
		_, err1 := fmt.Sscanf(lines[0], "ID: %d", &t.ID)
		_, err2 := fmt.Sscanf(lines[1], "signal: %d/%x", &t.Signal, &t.Value)
		how, who, ok := strings.Cut(strings.TrimPrefix(lines[2], "notify: "), "/")
		t.Notify = how
		if tid, thread := strings.CutPrefix(who, "tid."); thread {
			_, err = fmt.Sscanf(tid, "%d", &t.Thread)
		}
		_, err3 := fmt.Sscanf(lines[3], "ClockID: %d", &t.Clock)
		if err1 != nil || err2 != nil || err3 != nil || err != nil || !ok {
			return nil, fmt.Errorf("a timers file is not as proc_pid_timers(5) has it: %q", lines[:4])
		}
		timers = append(timers, t)
	}
	if len(lines) > 0 {
		return nil, fmt.Errorf("a timers file is not as proc_pid_timers(5) has it: %q", lines)
	}
	return timers, nil
}
