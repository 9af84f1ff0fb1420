package tracee

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Call is one system call of a batch.
type Call struct {
	Nr     uint64
	Args   [6]uint64
	Result int64 // as the kernel gives it: -errno on failure
	// Narrow: it is one of the system calls of 32-bit programs (amd64), with
	// their numbers and structures, and arguments below 4 GiB. The kernel keeps
	// apart what came by which.
	Narrow bool
}

// Err is the call's error, nil if it succeeded.
func (c *Call) Err() error {
	if c.Result < 0 && c.Result > -4096 {
		return unix.Errno(-c.Result)
	}
	return nil
}

// CallSize is the size of a Call in a tracee's memory, in bytes: number,
// six arguments, result.
const CallSize = 64

// narrowCall in a number has the batch loop make a 32-bit call.
const narrowCall = 1 << 32

// EncodeCalls writes calls as the batch loop expects them.
func EncodeCalls(calls []Call, to []byte) {
	for i, c := range calls {
		b := to[i*CallSize:]
		nr := c.Nr
		if c.Narrow {
			nr |= narrowCall
		}
		binary.LittleEndian.PutUint64(b, nr)
		for j, a := range c.Args {
			binary.LittleEndian.PutUint64(b[8+8*j:], a)
		}
	}
}

// DecodeResults is the inverse for the results.
func DecodeResults(from []byte, calls []Call) {
	for i := range calls {
		calls[i].Result = int64(binary.LittleEndian.Uint64(from[i*CallSize+56:]))
	}
}

// RunBatch runs the batch loop (BatchCode, found at code in the tracee) over
// count calls that lie at calls in the tracee's memory, and waits for its trap.
//
// It is for tasks we are building, not for originals: it leaves the registers
// changed, and its trap resets an ignored or blocked SIGTRAP of the tracee to
// the default action (force_sig_info_to_task, kernel/signal.c). The caller owes
// both their final values.
//
// child is the host number of the last task that a call of the batch made, 0
// if none did.
func (t *Thread) RunBatch(ctx context.Context, code, calls uint64, count int) (child int, err error) {
	r, err := t.Registers()
	if err != nil {
		return 0, err
	}
	r.prepareBatch(code, calls, uint64(count))
	if err := t.SetRegisters(r); err != nil {
		return 0, err
	}
	if err := t.Continue(0); err != nil {
		return 0, err
	}
	for {
		stop, err := t.Wait(ctx)
		if err != nil {
			return child, err
		}
		switch {
		case stop.Kind == SignalStop && stop.Signal == unix.SIGTRAP:
			return child, nil
		case stop.Kind == CloneEvent:
			child = int(stop.Message)
		case stop.Kind == Exited || stop.Kind == Killed:
			return child, fmt.Errorf("task %d ended while it was being built (%s)", t.TID(), describeStatus(stop.Status))
		case stop.Kind == SignalStop:
			return child, fmt.Errorf("task %d got signal %d (%s) while it was being built", t.TID(), stop.Signal, unix.SignalName(stop.Signal))
		}
		// An event of a clone, or the stop of a seized task that was still to
		// come: the loop has not finished.
		if err := t.Continue(0); err != nil {
			return child, err
		}
	}
}

// Settle brings a task from any stop to an EventStop, without its running an
// instruction.
func (t *Thread) Settle(ctx context.Context) error {
	if t.last.Kind == EventStop {
		return nil
	}
	if err := t.Interrupt(); err != nil {
		return err
	}
	for {
		if err := t.Continue(0); err != nil {
			return err
		}
		stop, err := t.Wait(ctx)
		if err != nil {
			return err
		}
		switch {
		case stop.Kind == EventStop:
			return nil
		case stop.Gone():
			return fmt.Errorf("task %d ended (%s)", t.tid, describeStatus(stop.Status))
		}
	}
}

// Load sets the registers that the task goes on with when it is let go. No
// system call will be restarted.
func (t *Thread) Load(sets []RegisterSet) error {
	if err := t.SetRegisterSets(sets); err != nil {
		return err
	}
	r, err := t.Registers()
	if err != nil {
		return err
	}
	r.SetPC(r.PC())
	return t.SetRegisters(r)
}

func describeStatus(s unix.WaitStatus) string {
	if s.Signaled() {
		return "killed by " + unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}
