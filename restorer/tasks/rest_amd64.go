package tasks

import (
	"math"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/tracee"
)

const sysPoll int64 = unix.SYS_POLL

// narrowRest is the call, of 32-bit code, that goes on with what remained of the
// one that the registers say to issue again. Its own number tells which of the
// two sizes of struct timespec it takes.
func narrowRest(regs *tracee.Registers, r *format.Rest, limit uint64) (nr uint64, a [6]uint64) {
	nr, a = regs.Rax, regs.Arguments()
	switch r.Kind {
	case format.RestKind_REST_SLEEP:
		return tracee.NarrowSleep(nr), [6]uint64{uint64(r.Clock), 0, limit, r.Remainder}
	case format.RestKind_REST_POLL:
		a[2] = milliseconds(r.RemainingNs)
	case format.RestKind_REST_FUTEX:
		a[3] = limit
	}
	return nr, a
}

// narrowTimespec is a time as that call takes it.
func narrowTimespec(regs *tracee.Registers, ns uint64) []byte {
	if _, short := regs.Native(int64(regs.Rax)); short {
		return le.AppendUint32(le.AppendUint32(nil, uint32(min(ns/1e9, math.MaxInt32))), uint32(ns%1e9))
	}
	return timespec(ns)
}
