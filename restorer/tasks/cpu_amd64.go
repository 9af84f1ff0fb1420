package tasks

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// Names of the xsave state components (Intel SDM volume 1, 13.1).
var xsaveComponents = map[int]string{
	0: "x87", 1: "SSE", 2: "AVX", 3: "MPX bounds registers", 4: "MPX bounds configuration",
	5: "AVX-512 masks", 6: "AVX-512 upper halves", 7: "AVX-512 upper registers",
	9: "protection keys (PKRU)", 17: "AMX tile configuration", 18: "AMX tile data", 19: "APX registers",
}

// CheckCPU refuses an image whose tasks may use CPU state that this host has not.
func CheckCPU(mask uint64, size uint32) error {
	have, err := sys.XsaveMask()
	if err != nil {
		return fmt.Errorf("ask this CPU for its xsave features: %w", err)
	}
	lost := mask &^ have
	if lost == 0 {
		return nil
	}
	var names []string
	for i := range 64 {
		if lost&(1<<i) == 0 {
			continue
		}
		if n, ok := xsaveComponents[i]; ok {
			names = append(names, n)
		} else {
			names = append(names, fmt.Sprintf("component %d", i))
		}
	}
	return fmt.Errorf("this CPU lacks %s, which the checkpointed tasks may use: restart them on a CPU that has it: %w", strings.Join(names, ", "), unix.ENODEV)
}
