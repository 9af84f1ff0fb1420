package tasks

import (
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// debugRegisters reads those of a task that a tracer has set (u_debugreg in struct
// user); nil: none is enabled in DR7. The kernel shows no others there: those of
// perf_event_open(2) belong to whoever has the event open (ptrace_get_debugreg,
// arch/x86/kernel/ptrace.c).
func debugRegisters(tid int) (*format.DebugRegisters, error) {
	dr7, err := sys.PtracePeekUser(tid, sys.DebugRegister(7))
	if err != nil || dr7&0xff == 0 {
		return nil, err
	}
	d := &format.DebugRegisters{}
	for _, n := range []int{0, 1, 2, 3, 6} {
		w, err := sys.PtracePeekUser(tid, sys.DebugRegister(n))
		if err != nil {
			return nil, err
		}
		d.Words = append(d.Words, w)
	}
	d.Words = append(d.Words, dr7)
	return d, nil
}
