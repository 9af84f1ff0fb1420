package tasks

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"
)

// modes finds what a task has set of how it uses the CPU, as far as ptrace(2)
// tells.
func modes(t *tracee.Thread, f *format.Task) error {
	switch d, err := sys.PtraceSyscallUserDispatch(t.TID()); {
	case errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL): // before Linux 6.4
	case err != nil:
		return fmt.Errorf("read the system call dispatch: %w", err)
	case d.Mode != 0:
		f.SyscallDispatch = &format.SyscallDispatch{Mode: d.Mode, Selector: d.Selector, Offset: d.Offset, Length: d.Length}
	}
	var err error
	if f.DebugRegisters, err = debugRegisters(t.TID()); err != nil {
		return fmt.Errorf("read the debug registers: %w", err)
	}
	f.ThreadAreas, err = threadAreas(t.TID())
	return err
}

// modes asks for what no file and no request of ptrace(2) tells. A kernel
// without such a thing says EINVAL.
func (q *question) modes(facts *view.TaskFacts) {
	if q.err != nil {
		return
	}
	if _, err := q.r.Call(unix.SYS_PRCTL, unix.PR_GET_TSC, q.scratch); err == nil {
		b := make([]byte, 4)
		q.err = q.r.Read(q.scratch, b)
		if mode := binary.LittleEndian.Uint32(b); mode != unix.PR_TSC_ENABLE { // as all have it
			facts.TSCMode = mode
		}
	}
	if sysArchPrctl < 0 || q.err != nil {
		return
	}
	const archGetCPUID = 0x1011
	call := sysArchPrctl
	allowed, err := q.r.Call(uint64(call), archGetCPUID)
	facts.CPUIDFaults = err == nil && allowed == 0
}
