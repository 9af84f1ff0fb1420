package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// PtraceGetRegs is PTRACE_GETREGS: struct user_regs_struct, which is 64-bit for
// a 64-bit tracer, whatever code the tracee runs.
func PtraceGetRegs(tid int, b []byte) error {
	if len(b) < int(unsafe.Sizeof(unix.PtraceRegs{})) {
		return unix.EINVAL
	}
	_, err := ptrace(unix.PTRACE_GETREGS, tid, 0, unsafe.Pointer(unsafe.SliceData(b)))
	return err
}

// PtraceSetRegs is PTRACE_SETREGS.
func PtraceSetRegs(tid int, b []byte) error {
	if len(b) < int(unsafe.Sizeof(unix.PtraceRegs{})) {
		return unix.EINVAL
	}
	_, err := ptrace(unix.PTRACE_SETREGS, tid, 0, unsafe.Pointer(unsafe.SliceData(b)))
	return err
}
