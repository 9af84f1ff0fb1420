package tasks

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// debugRegisters reads those of a task that a tracer has set; nil: none is enabled.
func debugRegisters(tid int) (*format.DebugRegisters, error) {
	var d format.DebugRegisters
	var err error
	if d.Breakpoints, err = debugState(tid, unix.NT_ARM_HW_BREAK); err != nil {
		return nil, err
	}
	if d.Watchpoints, err = debugState(tid, unix.NT_ARM_HW_WATCH); err != nil {
		return nil, err
	}
	if d.Breakpoints == nil && d.Watchpoints == nil {
		return nil, nil
	}
	return &d, nil
}

// debugState is struct user_hwdebug_state (arch/arm64/include/uapi/asm/ptrace.h) up to
// the last that is enabled, by bit 0 of its control word; nil: none is.
func debugState(tid int, note uint32) ([]byte, error) {
	b := make([]byte, 8+16*16)
	n, err := sys.PtraceGetRegset(tid, note, b)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for at := n - 16; at >= 8; at -= 16 {
		if binary.LittleEndian.Uint32(b[at+8:])&1 != 0 {
			return b[:at+16], nil
		}
	}
	return nil, nil
}
