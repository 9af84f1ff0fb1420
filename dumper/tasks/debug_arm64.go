package tasks

import (
	"encoding/binary"
	"errors"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// usesDebugRegisters says whether the task has a hardware breakpoint or
// watchpoint: bit 0 of a control word of struct user_hwdebug_state
// (arch/arm64/include/uapi/asm/ptrace.h).
func usesDebugRegisters(tid int) (bool, error) {
	for _, note := range []uint32{unix.NT_ARM_HW_BREAK, unix.NT_ARM_HW_WATCH} {
		b := make([]byte, 8+16*16)
		n, err := sys.PtraceGetRegset(tid, note, b)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return false, err
		}
		for at := 8; at+16 <= n; at += 16 {
			if binary.LittleEndian.Uint32(b[at+8:])&1 != 0 {
				return true, nil
			}
		}
	}
	return false, nil
}
