package procfs

import (
	"fmt"
	"strconv"
	"strings"
)

// MemoryStat is what /proc/PID/stat (proc_pid_stat(5)) tells of an address
// space: addresses, fields 26 to 28 and 45 to 51. A reader who may not trace
// the process sees zeros.
type MemoryStat struct {
	StartCode, EndCode uint64
	StartStack         uint64
	StartData, EndData uint64
	StartBrk           uint64
	ArgStart, ArgEnd   uint64
	EnvStart, EnvEnd   uint64
}

// ReadMemoryStat reads /proc/PID/stat.
func ReadMemoryStat(pid int) (MemoryStat, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return MemoryStat{}, err
	}
	return ParseMemoryStat(string(text))
}

// ParseMemoryStat parses the text of a stat file.
func ParseMemoryStat(text string) (MemoryStat, error) {
	var m MemoryStat
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	failed := len(fields) < 49 // 3 to 51
	number := func(field int) uint64 {
		if failed {
			return 0
		}
		n, err := strconv.ParseUint(fields[field-3], 10, 64)
		failed = failed || err != nil
		return n
	}
	m.StartCode, m.EndCode, m.StartStack = number(26), number(27), number(28)
	m.StartData, m.EndData, m.StartBrk = number(45), number(46), number(47)
	m.ArgStart, m.ArgEnd, m.EnvStart, m.EnvEnd = number(48), number(49), number(50), number(51)
	if failed {
		return MemoryStat{}, fmt.Errorf("a stat file is not as proc_pid_stat(5) has it: %q", text)
	}
	return m, nil
}
