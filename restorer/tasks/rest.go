package tasks

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// Rest has a task enter the call that the checkpoint interrupted, with what
// remained of its time. The registers that it goes on with are loaded already.
// ok is false if that can't be done; then the call is issued anew.
func Rest(ctx context.Context, p place.Process, t *tracee.Thread, r *format.Rest) (ok bool, err error) {
	regs, err := t.Registers()
	if err != nil {
		return false, err
	}
	a := regs.Arguments()
	limit, _ := p.Scratch()
	span := timespec(r.RemainingNs)
	if regs.Narrow() {
		span = narrowTimespec(&regs, r.RemainingNs)
	}
	if err := p.Write(limit, span); err != nil {
		return false, err
	}
	var nr uint64
	switch {
	case regs.Narrow():
		nr, a = narrowRest(&regs, r, limit)
	case r.Kind == format.RestKind_REST_SLEEP:
		nr, a = unix.SYS_CLOCK_NANOSLEEP, [6]uint64{uint64(r.Clock), 0, limit, r.Remainder}
	case r.Kind == format.RestKind_REST_POLL:
		if sysPoll < 0 {
			return false, nil
		}
		call := sysPoll // arm64 has none
		nr, a[2] = uint64(call), milliseconds(r.RemainingNs)
	case r.Kind == format.RestKind_REST_FUTEX:
		nr, a[3] = unix.SYS_FUTEX, limit
	}
	if ok, err = t.Reenter(ctx, nr, a); err != nil {
		return false, fmt.Errorf("go on with what remained of its sleep: %w", err)
	}
	return ok, nil
}

// milliseconds is a time as poll(2) takes it, not less than it is.
func milliseconds(ns uint64) uint64 {
	return min((ns+uint64(time.Millisecond)-1)/uint64(time.Millisecond), math.MaxInt32)
}

// timespec is a struct timespec.
func timespec(ns uint64) []byte {
	return le.AppendUint64(le.AppendUint64(nil, ns/1e9), ns%1e9)
}
