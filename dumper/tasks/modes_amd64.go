package tasks

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// threadAreas are the segments that the task has set by set_thread_area(2):
// numbers 12 to 14 (GDT_ENTRY_TLS_MIN, arch/x86/include/asm/segment.h).
func threadAreas(tid int) ([][]byte, error) {
	// An entry that is not set has no base and no limit, is not present and
	// can't be written to (fill_user_desc, arch/x86/kernel/tls.c).
	const first, last, unset = 12, 14, 0x28
	var areas [][]byte
	for n := uint32(first); n <= last; n++ {
		d := make([]byte, sys.SizeofUserDesc)
		if err := sys.PtraceThreadArea(unix.PTRACE_GET_THREAD_AREA, tid, n, d); err != nil {
			return nil, fmt.Errorf("read segment %d: %w", n, err)
		}
		if binary.LittleEndian.Uint64(d[4:]) != 0 || binary.LittleEndian.Uint32(d[12:]) != unset {
			areas = append(areas, d)
		}
	}
	return areas, nil
}

const sysArchPrctl = unix.SYS_ARCH_PRCTL
