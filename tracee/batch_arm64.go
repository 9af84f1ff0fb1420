package tracee

import "encoding/binary"

// BatchCode is the batch loop: it runs x20 calls that lie at x19, and traps.
// The kernel keeps all registers but x0 over a system call.
var BatchCode = assemble(
	0xB4000000|13<<5|20,               // loop: cbz x20, done
	0xF9400000|0<<10|19<<5|8,          // ldr x8, [x19]
	0xF9400000|1<<10|19<<5,            // ldr x0, [x19, 8]
	0xF9400000|2<<10|19<<5|1,          // ldr x1, [x19, 16]
	0xF9400000|3<<10|19<<5|2,          // ldr x2, [x19, 24]
	0xF9400000|4<<10|19<<5|3,          // ldr x3, [x19, 32]
	0xF9400000|5<<10|19<<5|4,          // ldr x4, [x19, 40]
	0xF9400000|6<<10|19<<5|5,          // ldr x5, [x19, 48]
	0xD4000001,                        // svc 0
	0xF9000000|7<<10|19<<5,            // str x0, [x19, 56]
	0x91000000|64<<10|19<<5|19,        // add x19, x19, 64
	0xD1000000|1<<10|20<<5|20,         // sub x20, x20, 1
	0x14000000|(0x3ffffff&(1<<26-12)), // b loop
	0xD4200000,                        // done: brk 0
)

// BatchSyscallOffset is where in BatchCode the system call instruction is.
const BatchSyscallOffset = 32

// SyscallInstruction is the instruction that enters the kernel.
var SyscallInstruction = []byte{0x01, 0x00, 0x00, 0xd4}

func assemble(code ...uint32) []byte {
	b := make([]byte, 0, 4*len(code))
	for _, c := range code {
		b = binary.LittleEndian.AppendUint32(b, c)
	}
	return b
}

func (r *Registers) prepareBatch(code, calls, count uint64) {
	r.SetPC(code)
	r.Regs[19], r.Regs[20] = calls, count
}
