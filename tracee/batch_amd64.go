package tracee

// BatchCode is the batch loop: it runs r12 calls that lie at rbx, and traps.
// A system call clobbers rcx, r11 and rax only.
var BatchCode = []byte{
	0x4d, 0x85, 0xe4, // loop: test r12, r12
	0x74, 0x2a, //       jz done
	0x48, 0x8b, 0x03, // mov rax, [rbx]
	0x48, 0x8b, 0x7b, 0x08, // mov rdi, [rbx+8]
	0x48, 0x8b, 0x73, 0x10, // mov rsi, [rbx+16]
	0x48, 0x8b, 0x53, 0x18, // mov rdx, [rbx+24]
	0x4c, 0x8b, 0x53, 0x20, // mov r10, [rbx+32]
	0x4c, 0x8b, 0x43, 0x28, // mov r8, [rbx+40]
	0x4c, 0x8b, 0x4b, 0x30, // mov r9, [rbx+48]
	0x0f, 0x05, // syscall
	0x48, 0x89, 0x43, 0x38, // mov [rbx+56], rax
	0x48, 0x83, 0xc3, 0x40, // add rbx, 64
	0x49, 0xff, 0xcc, // dec r12
	0xeb, 0xd1, // jmp loop
	0xcc, // done: int3
}

// BatchSyscallOffset is where in BatchCode the system call instruction is.
const BatchSyscallOffset = 32

// SyscallInstruction is the instruction that enters the kernel.
var SyscallInstruction = []byte{0x0f, 0x05}

func (r *Registers) prepareBatch(code, calls, count uint64) {
	r.SetPC(code)
	r.Rbx, r.R12 = calls, count
	r.Eflags &^= 0x500 // neither single step nor backwards
}
