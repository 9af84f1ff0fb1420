package cpufeature

import (
	"errors"
	"strings"

	"lxc-checkpoint/internal/procfs"
)

// Usable lists what this CPU can do for programs: what AT_HWCAP and AT_HWCAP2
// tell them, by the names of /proc/cpuinfo (Documentation/arch/arm64/elf_hwcaps.rst).
func Usable() ([]string, error) {
	text, err := procfs.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "Features" {
			return strings.Fields(value), nil
		}
	}
	return nil, errors.New("/proc/cpuinfo has no line of features")
}
