package procfs

import (
	"fmt"
	"strconv"
	"strings"
)

// MemInfo is what /proc/meminfo tells of the machine's memory, in bytes.
type MemInfo struct {
	Total, SwapTotal uint64
	// CommitLimit is how much the kernel grants to programs in all if it never
	// grants more than there is (vm.overcommit_memory=2), Committed how much it
	// has granted.
	CommitLimit, Committed uint64
}

// ReadMemInfo reads /proc/meminfo.
func ReadMemInfo() (MemInfo, error) {
	text, err := ReadFile("/proc/meminfo")
	if err != nil {
		return MemInfo{}, err
	}
	return ParseMemInfo(string(text))
}

// ParseMemInfo parses the text of meminfo.
func ParseMemInfo(text string) (MemInfo, error) {
	var m MemInfo
	fields := map[string]*uint64{
		"MemTotal:": &m.Total, "SwapTotal:": &m.SwapTotal, "CommitLimit:": &m.CommitLimit, "Committed_AS:": &m.Committed,
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || fields[words[0]] == nil {
			continue
		}
		kib, err := strconv.ParseUint(words[1], 10, 54)
		if err != nil {
			return m, fmt.Errorf("meminfo: %s %w", words[0], err)
		}
		*fields[words[0]] = kib << 10
		delete(fields, words[0])
	}
	for name := range fields {
		return m, fmt.Errorf("meminfo has no line %s", name)
	}
	return m, nil
}
