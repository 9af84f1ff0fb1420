package tracee

import (
	"bytes"
	"context"
	"fmt"
	"os"
)

// Reenter has the thread, whose registers say to issue a system call, enter
// another one in its place, with a limit to its time that we have worked out,
// and interrupts it in there. So the kernel itself makes the restart block that
// it keeps of such a call (include/linux/restart_block.h); when the thread is
// let go, it goes on with what remains, and if a signal handler runs, returns
// EINTR and what remained, all by the kernel's own rules.
//
// The thread does not sleep meanwhile: it enters the call with our interrupt
// waiting for it. Afterwards it is in an EventStop, and MUST make no other call
// that sleeps. A call that ends at once has its result in the registers. ok is
// false, and nothing was done, if there is no system call instruction where the
// registers say: then the program has removed its own code.
func (t *Thread) Reenter(ctx context.Context, nr uint64, args [6]uint64) (ok bool, err error) {
	program, err := t.Registers()
	if err != nil {
		return false, err
	}
	if !t.beforeCall(&program) {
		return false, nil
	}
	work := program
	work.PrepareCall(nr, args)
	if err := t.SetRegisters(work); err != nil {
		return false, err
	}
	for stop := (Stop{}); stop.Kind != SyscallStop; {
		if err := t.SyscallContinue(); err != nil {
			return false, err
		}
		if stop, err = t.Wait(ctx); err != nil {
			return false, err
		}
		if stop.Gone() {
			return false, fmt.Errorf("task %d ended (%s)", t.tid, describeStatus(stop.Status))
		}
	}
	if err := t.Interrupt(); err != nil {
		return false, err
	}
	for stop := (Stop{}); stop.Kind != EventStop; {
		if err := t.Continue(0); err != nil {
			return false, err
		}
		if stop, err = t.Wait(ctx); err != nil {
			return false, err
		}
		if stop.Gone() {
			return false, fmt.Errorf("task %d ended (%s)", t.tid, describeStatus(stop.Status))
		}
	}
	after, err := t.Registers()
	if err != nil {
		return false, err
	}
	program.afterCall(&after, nr)
	return true, t.SetRegisters(program)
}

// beforeCall says whether the next instruction is a system call.
func (t *Thread) beforeCall(r *Registers) bool {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.tid))
	if err != nil {
		return false
	}
	defer mem.Close()
	call := r.instruction()
	code := make([]byte, len(call))
	_, err = mem.ReadAt(code, int64(r.PC()))
	return err == nil && bytes.Equal(code, call)
}
