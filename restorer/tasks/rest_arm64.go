package tasks

import (
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/tracee"
)

const sysPoll int64 = -1 // arm64 has only ppoll

// Nothing here runs 32-bit code.
func narrowRest(*tracee.Registers, *format.Rest, uint64) (nr uint64, a [6]uint64) { return 0, a }

func narrowTimespec(*tracee.Registers, uint64) []byte { return nil }
