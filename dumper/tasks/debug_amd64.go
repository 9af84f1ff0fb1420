package tasks

import "lxc-checkpoint/internal/sys"

// usesDebugRegisters says whether the task has a hardware breakpoint: DR7, in
// u_debugreg of struct user (arch/x86/include/asm/user_64.h), enables some.
func usesDebugRegisters(tid int) (bool, error) {
	const debugRegisters = 848
	dr7, err := sys.PtracePeekUser(tid, debugRegisters+7*8)
	return dr7&0xff != 0, err
}
