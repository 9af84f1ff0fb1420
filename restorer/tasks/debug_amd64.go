package tasks

import (
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// DebugRegisters sets those that a tracer has left in a task: addresses before DR7,
// which enables them.
func DebugRegisters(p place.Process, d *format.DebugRegisters) error {
	if len(d.GetWords()) == 0 {
		return nil
	}
	for i, n := range []int{0, 1, 2, 3, 6, 7} {
		if d.Words[i] == 0 {
			continue // as they are in a new task; each address takes a register
		}
		if err := sys.PtracePokeUser(p.PID(), sys.DebugRegister(n), d.Words[i]); err != nil {
			return err
		}
	}
	return nil
}
