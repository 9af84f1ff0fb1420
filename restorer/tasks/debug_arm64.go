package tasks

import (
	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// DebugRegisters sets those that a tracer has left in a task.
func DebugRegisters(p place.Process, d *format.DebugRegisters) error {
	for _, set := range []struct {
		note  uint32
		state []byte
	}{{unix.NT_ARM_HW_BREAK, d.GetBreakpoints()}, {unix.NT_ARM_HW_WATCH, d.GetWatchpoints()}} {
		if len(set.state) == 0 {
			continue
		}
		if err := sys.PtraceSetRegset(p.PID(), set.note, set.state); err != nil {
			return err
		}
	}
	return nil
}
