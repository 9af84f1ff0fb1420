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

// The user's code segment of a 64-bit task (arch/x86/include/asm/segment.h).
const userCS = 0x33

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

// PrepareCall sets the number and the arguments of a system call, for a thread
// whose PC is at a system call instruction.
func (r *Registers) PrepareCall(nr uint64, args [6]uint64) {
	r.OrigRax = ^uint64(0)
	r.Rax = nr
	r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9 = args[0], args[1], args[2], args[3], args[4], args[5]
}

// Arguments are those of the system call that the thread is in, or is about to
// make.
func (r *Registers) Arguments() [6]uint64 {
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
	case in && nr == unix.SYS_RESTART_SYSCALL:
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
	n, err := sys.PtraceGetRegset(t.tid, unix.NT_PRSTATUS, b)
	if err != nil {
		return Registers{}, t.wrap("read the registers of", err)
	}
	if n == narrowSize {
		return parseNarrow(b[:n]), nil
	}
	return ParseRegisters(b[:n])
}

// narrowSize is the size of struct user_regs_struct32, in bytes.
const narrowSize = 17 * 4

// parseNarrow takes what the kernel gives of a thread that runs 32-bit code
// (task_user_regset_view, arch/x86/kernel/ptrace.c). It tells who that is;
// nothing may be written back by it.
func parseNarrow(b []byte) (r Registers) {
	for i, to := range []*uint64{
		&r.Rbx, &r.Rcx, &r.Rdx, &r.Rsi, &r.Rdi, &r.Rbp, &r.Rax, &r.Ds, &r.Es, &r.Fs, &r.Gs,
		&r.OrigRax, &r.Rip, &r.Cs, &r.Eflags, &r.Rsp, &r.Ss,
	} {
		*to = uint64(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return r
}

// SetRegisters writes the general registers of the stopped thread.
func (t *Thread) SetRegisters(r Registers) error {
	return t.wrap("write the registers of", sys.PtraceSetRegset(t.tid, unix.NT_PRSTATUS, r.Bytes()))
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
