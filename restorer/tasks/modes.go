package tasks

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// modes sets how a task uses the CPU, as far as it does so itself.
func modes(b *batch, k *format.Task) {
	if k.TscMode == unix.PR_TSC_SIGSEGV {
		b.add("mode of the time stamp counter", unix.SYS_PRCTL, unix.PR_SET_TSC, uint64(k.TscMode), 0, 0, 0)
	}
	if k.CpuidFaults && sysArchPrctl >= 0 {
		const archSetCPUID = 0x1012
		call := sysArchPrctl
		b.add("forbid cpuid, which takes a CPU that can", uint64(call), archSetCPUID, 0)
	}
}

// Segments sets those of set_thread_area(2), before the registers that name
// them.
func Segments(p place.Process, k *format.Task) error {
	for _, d := range k.ThreadAreas {
		if err := sys.PtraceThreadArea(setThreadArea, p.PID(), le.Uint32(d), d); err != nil {
			return fmt.Errorf("segment %d of set_thread_area: %w", le.Uint32(d), err)
		}
	}
	return nil
}

// Dispatch has a task handle its own system calls again, after the last one
// that is made in it for us.
func Dispatch(p place.Process, k *format.Task) error {
	d := k.SyscallDispatch
	if d == nil {
		return nil
	}
	c := sys.SyscallUserDispatch{Mode: d.Mode, Selector: d.Selector, Offset: d.Offset, Length: d.Length}
	// Since Linux 6.17 a range can be given the other way round: the kernel
	// tells it as one that wraps (set_syscall_user_dispatch,
	// kernel/entry/syscall_user_dispatch.c), and takes it only as it was given.
	if end := d.Offset + d.Length; d.Length != 0 && end < d.Offset {
		const inclusive = 2
		c.Mode, c.Offset, c.Length = inclusive, end, -d.Length
	}
	if err := sys.PtraceSetSyscallUserDispatch(p.PID(), c); err != nil {
		return fmt.Errorf("system call dispatch (needs Linux 6.4 on amd64): %w", err)
	}
	return nil
}
