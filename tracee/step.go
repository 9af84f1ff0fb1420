package tracee

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// StepOut has a thread that is in an EventStop, and not in a system call, run
// on until it is out of a part of its memory, or about to make a system call
// there, and brings it back to an EventStop. No signal reaches it meanwhile. It
// gives up after a number of steps, which is no error.
//
// The trap of each step resets a SIGTRAP that the thread ignores or blocks
// (force_sig_info_to_task, kernel/signal.c): the caller sees that it does not.
func (t *Thread) StepOut(ctx context.Context, start, end uint64, steps int) (err error) {
	mask, err := t.SignalMask()
	if err != nil {
		return err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.tid))
	if err != nil {
		return err
	}
	defer mem.Close()
	if err := t.SetSignalMask(allSignals &^ (1 << (unix.SIGTRAP - 1))); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Settle(ctx), t.SetSignalMask(mask)) }()
	for range steps {
		r, err := t.Registers()
		if err != nil {
			return err
		}
		if r.PC() < start || r.PC() >= end {
			return nil
		}
		next := make([]byte, syscallSize)
		if _, err := mem.ReadAt(next, int64(r.PC())); err != nil || bytes.Equal(next, r.instruction()) {
			return err
		}
		if err := t.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step runs one instruction.
func (t *Thread) step(ctx context.Context) error {
	if err := t.wrap("single-step", sys.PtraceSinglestep(t.tid, 0)); err != nil {
		return err
	}
	stop, err := t.Wait(ctx)
	if err == nil && (stop.Kind != SignalStop || stop.Signal != unix.SIGTRAP) {
		err = fmt.Errorf("task %d ran one instruction and came to a %v instead of its trap", t.tid, stop.Kind)
	}
	return err
}
