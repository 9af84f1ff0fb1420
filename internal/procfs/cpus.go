package procfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PossibleCPUs is how many CPUs the kernel has room for: what is kept for each
// CPU is kept that many times.
func PossibleCPUs() (int, error) {
	text, err := os.ReadFile("/sys/devices/system/cpu/possible")
	if err != nil {
		return 0, err
	}
	return parseCPUs(string(text))
}

// PossibleNodes is how many nodes of memory the kernel has room for; 1 where it has
// no such thing (CONFIG_NUMA).
func PossibleNodes() (int, error) {
	text, err := os.ReadFile("/sys/devices/system/node/possible")
	if errors.Is(err, os.ErrNotExist) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	return parseCPUs(string(text))
}

// parseCPUs counts those of a list such as "0-3", which begins with 0 and has
// no gaps (num_possible_cpus and cpumask_first, kernel/cpu.c).
func parseCPUs(list string) (int, error) {
	last := strings.TrimSpace(list)
	if i := strings.LastIndexAny(last, "-,"); i >= 0 {
		last = last[i+1:]
	}
	n, err := strconv.Atoi(last)
	if err != nil || n < 0 || n > 1<<16 {
		return 0, fmt.Errorf("a list of CPUs is %q", list)
	}
	return n + 1, nil
}
