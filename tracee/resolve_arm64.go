package tracee

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// numberInCode has nothing to find: see Registers.Interrupted.
func (t *Thread) numberInCode(*Registers) uint32 { return 0 }

// NarrowNumber knows no call: nothing here runs 32-bit code.
func NarrowNumber(int64, bool) uint32 { return 0 }

// NumberInFlight is the number of the call that the registers of an EventStop are
// in.
func (t *Thread) NumberInFlight(r *Registers) uint32 { return uint32(CallNumber(r)) }

func (r *Registers) restartAs(uint32) {}

// InBlock says whether the stop interrupted a call that only the kernel can go
// on with, by what it keeps of it (ERESTART_RESTARTBLOCK). Here it shows only
// when the thread begins with the call again (Remote.learn).
func (t *Thread) InBlock(ctx context.Context) (is bool, err error) {
	regs, err := t.Registers()
	if err != nil || !slices.Contains([]uint64{unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_FUTEX}, regs.Regs[8]) {
		return false, err
	}
	r, err := t.Remote(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.learn(); err != nil {
		return false, err
	}
	r.atExit = r.started // of the call that was not made
	return r.reason == erestartRestartBlock, nil
}

// CallNumber is the number of the call that the registers of an EventStop say
// to issue.
func CallNumber(r *Registers) int64 { return int64(r.Regs[8]) }

// InFlight are the registers of an EventStop: see Registers.Interrupted.
func (t *Thread) InFlight() (Registers, error) { return t.Registers() }
