package sys

import "golang.org/x/sys/unix"

// ModifyLDT is the number of modify_ldt(2).
var ModifyLDT = unix.SYS_MODIFY_LDT

// DebugRegister is where a debug register lies in struct user
// (arch/x86/include/asm/user_64.h).
func DebugRegister(n int) uintptr {
	const debugRegisters = 848
	return debugRegisters + uintptr(n)*8
}

// SavesKeys: amd64 keeps what a thread may do with keys in PKRU, which is among its registers.
const SavesKeys = true
