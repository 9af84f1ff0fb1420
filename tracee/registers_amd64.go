package tracee

import (
	"encoding/binary"
	"fmt"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// Registers are the general registers of a thread (struct user_regs_struct).
type Registers struct {
	R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8    uint64
	Rax, Rcx, Rdx, Rsi, Rdi, OrigRax, Rip, Cs, Eflags uint64
	Rsp, Ss, FsBase, GsBase, Ds, Es, Fs, Gs           uint64
}

const registersSize = 27 * 8

// The user's segments: code of 64 bits, of 32 bits, and data for both
// (arch/x86/include/asm/segment.h).
const (
	userCS   = 0x33
	userCS32 = 0x23
	userDS   = 0x2b
)

// PC is the address of the next instruction.
func (r *Registers) PC() uint64 { return r.Rip }

// SP is the stack pointer.
func (r *Registers) SP() uint64 { return r.Rsp }

// SetPC changes the address of the next instruction. The kernel will not
// restart a system call that was in flight.
func (r *Registers) SetPC(pc uint64) { r.Rip, r.OrigRax = pc, ^uint64(0) }

// SetSP changes the stack pointer.
func (r *Registers) SetSP(sp uint64) { r.Rsp = sp }

// Result is what the last system call returned: a value, or a negative errno.
func (r *Registers) Result() int64 { return int64(r.Rax) }

// SetResult changes what the system call returns.
func (r *Registers) SetResult(v int64) { r.Rax = uint64(v) }

// Wide says whether the thread runs 64-bit code.
func (r *Registers) Wide() bool { return r.Cs == userCS }

// Narrow says whether the thread runs 32-bit code.
func (r *Registers) Narrow() bool { return r.Cs == userCS32 }

// forCalls are registers to make system calls with. A thread that runs 32-bit
// code makes them in 64-bit mode, which any thread can be put into: so it makes
// the same calls as all others.
func (r *Registers) forCalls() (Registers, error) {
	w := *r
	switch {
	case r.Narrow():
		w.Cs, w.Ss = userCS, userDS
	case !r.Wide():
		return w, fmt.Errorf("it runs code of segment %#x, which is neither that of 64-bit programs nor that of 32-bit ones", r.Cs)
	}
	return w, nil
}

// instruction is the one by which the thread enters the kernel. One that runs
// 32-bit code comes in by sysenter or syscall, too, but the kernel lets it go on
// behind the vdso's int 0x80 then (do_fast_syscall_32, arch/x86/entry/common.c).
func (r *Registers) instruction() []byte {
	if r.Narrow() {
		return []byte{0xcd, 0x80}
	}
	return syscallInstruction
}

// PrepareCall sets the number and the arguments of a system call, for a thread
// whose PC is at a system call instruction.
func (r *Registers) PrepareCall(nr uint64, args [6]uint64) {
	r.OrigRax = ^uint64(0)
	r.Rax = nr
	if r.Narrow() {
		r.Rbx, r.Rcx, r.Rdx, r.Rsi, r.Rdi, r.Rbp = args[0], args[1], args[2], args[3], args[4], args[5]
		return
	}
	r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9 = args[0], args[1], args[2], args[3], args[4], args[5]
}

// Arguments are those of the system call that the thread is in, or is about to
// make.
func (r *Registers) Arguments() [6]uint64 {
	if r.Narrow() {
		return [6]uint64{r.Rbx, r.Rcx, r.Rdx, r.Rsi, r.Rdi, r.Rbp}
	}
	return [6]uint64{r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9}
}

// Syscall is the number of the system call that the thread is in, or has just
// left; in is false if it came into the kernel by another way.
func (r *Registers) Syscall() (nr int64, in bool) {
	nr = int64(r.OrigRax)
	return nr, nr >= 0
}

// Interrupted says whether the stop interrupted a system call, so that the
// kernel will restart it when the thread goes on.
func (r *Registers) Interrupted() bool {
	if _, in := r.Syscall(); !in {
		return false
	}
	switch -r.Result() {
	case erestartSys, erestartNoIntr, erestartNoHand, erestartRestartBlock:
		return true
	}
	return false
}

// Resolve does by hand what the kernel would do when the thread goes on (
// arch_do_signal_or_restart, arch/x86/kernel/signal.c): a system call that the
// stop interrupted is rewound, to be issued again with the same arguments, and
// one that only the kernel could restart (restart_syscall(2)) returns EINTR.
// After it, the registers can be given to another thread. It returns the
// number of the call, in is false if none was interrupted.
func (r *Registers) Resolve() (nr int64, in bool) {
	nr, _ = r.Syscall()
	in = r.Interrupted()
	switch {
	case in && uint64(nr) == r.restartNumber():
		r.Rax = ^uint64(unix.EINTR) + 1
	case in:
		r.Rax = r.OrigRax
		r.Rip -= syscallSize
	}
	r.OrigRax = ^uint64(0)
	return nr, in
}

// usable says whether a call can be made with the system call instruction at an
// address: any will do.
func (r *Registers) usable(uint64) bool { return true }

// Bytes are the registers as PTRACE_SETREGSET takes them for NT_PRSTATUS.
func (r *Registers) Bytes() []byte {
	b, _ := binary.Append(nil, binary.LittleEndian, r)
	return b
}

// ParseRegisters is the inverse of Bytes.
func ParseRegisters(b []byte) (Registers, error) {
	var r Registers
	if len(b) != registersSize {
		return r, fmt.Errorf("general registers: %d bytes instead of %d", len(b), registersSize)
	}
	_, err := binary.Decode(b, binary.LittleEndian, &r)
	return r, err
}

// Registers reads the general registers of the stopped thread.
func (t *Thread) Registers() (Registers, error) {
	b := make([]byte, registersSize)
	if err := sys.PtraceGetRegs(t.tid, b); err != nil {
		return Registers{}, t.wrap("read the registers of", err)
	}
	return ParseRegisters(b)
}

// SetRegisters writes the general registers of the stopped thread.
func (t *Thread) SetRegisters(r Registers) error {
	return t.wrap("write the registers of", sys.PtraceSetRegs(t.tid, r.Bytes()))
}

// getSet reads a set of registers. The general ones as a 64-bit thread has them,
// whatever code the thread runs: PTRACE_GETREGSET would give those of 32-bit code
// by a structure of their own, without the upper halves and the segments' bases
// (task_user_regset_view, arch/x86/kernel/ptrace.c).
func (t *Thread) getSet(note uint32, b []byte) (int, error) {
	if note == unix.NT_PRSTATUS {
		return registersSize, sys.PtraceGetRegs(t.tid, b)
	}
	return sys.PtraceGetRegset(t.tid, note, b)
}

// setSet is the inverse of getSet.
func (t *Thread) setSet(note uint32, b []byte) error {
	if note == unix.NT_PRSTATUS && len(b) == registersSize {
		return sys.PtraceSetRegs(t.tid, b)
	}
	return sys.PtraceSetRegset(t.tid, note, b)
}

// The note types that make up a thread's state, and how long they may get in
// bytes: the extended state's size is the CPU's matter (2.5 KiB with AVX-512,
// 11 KiB with AMX).
var registerNotes = []registerNote{
	{unix.NT_PRSTATUS, registersSize, true},
	{unix.NT_X86_XSTATE, 64 << 10, true},
}

// syscallInstruction is `syscall`.
var syscallInstruction = []byte{0x0f, 0x05}

const (
	syscallSize = 2
	syscallStep = 1 // it may begin at any address
	// redZone is what a function may use below its stack pointer, in bytes
	// (System V ABI, AMD64).
	redZone = 128
)
