package tracee

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Mend has a system call restarted that our stop made fail: some calls return
// EINTR instead of a code for "restart me" when anything interrupts them, a
// tracer or a freezer included (signal(7), "Interruption of system calls and
// library functions by stop signals"), and the program would see an error that
// no signal handler explains. After Mend the kernel restarts the call, unless a
// handler runs after all, and the call returns EINTR as it should.
//
// It is for the EventStop of an original, before anything else is done to it.
// A timeout of the call begins anew, unless Shorten follows. before is what
// SeeCall saw before the thread was interrupted; it is needed where MendNeedsCall
// says so, and may be nil: then nothing is mended there.
func (t *Thread) Mend(before *CallSeen) error {
	r, err := t.Registers()
	if err != nil {
		return err
	}
	if !r.mend(before) {
		return nil
	}
	return t.SetRegisters(r)
}

// CallSeen is a system call that a thread was seen to sleep in.
type CallSeen struct {
	nr     uint64
	args   [6]uint64
	sp, pc uint64
}

// SeeCall looks at the system call that a thread, which runs or sleeps, is in;
// nil if it is in none.
func SeeCall(tid int) *CallSeen {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", tid))
	fields := strings.Fields(string(text)) // number, six arguments, sp, pc (proc_pid_syscall, fs/proc/base.c)
	if err != nil || len(fields) != 9 {
		return nil
	}
	var v [9]uint64
	for i, f := range fields {
		if v[i], err = strconv.ParseUint(f, 0, 64); err != nil {
			return nil // -1: none
		}
	}
	return &CallSeen{nr: v[0], args: [6]uint64(v[1:7]), sp: v[7], pc: v[8]}
}
