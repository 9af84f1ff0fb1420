package tracee

import (
	"encoding/binary"
	"errors"
	"fmt"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// Registers are the general registers of a thread (struct user_pt_regs), and
// the system call that the kernel believes it in.
type Registers struct {
	Regs           [31]uint64
	Sp, Pc, Pstate uint64
	// NT_ARM_SYSTEM_CALL: -1 for none. The kernel restarts a call in flight
	// by it, whatever x8 says.
	SystemCall int32
}

const registersSize = 34 * 8

// PC is the address of the next instruction.
func (r *Registers) PC() uint64 { return r.Pc }

// SP is the stack pointer.
func (r *Registers) SP() uint64 { return r.Sp }

// SetPC changes the address of the next instruction. The kernel will not
// restart a system call that was in flight.
func (r *Registers) SetPC(pc uint64) { r.Pc, r.SystemCall = pc, -1 }

// SetSP changes the stack pointer.
func (r *Registers) SetSP(sp uint64) { r.Sp = sp }

// Result is what the last system call returned: a value, or a negative errno.
func (r *Registers) Result() int64 { return int64(r.Regs[0]) }

// SetResult changes what the system call returns.
func (r *Registers) SetResult(v int64) { r.Regs[0] = uint64(v) }

// Wide says whether the thread runs 64-bit code (PSTATE.nRW, bit 4, is 0).
func (r *Registers) Wide() bool { return r.Pstate&(1<<4) == 0 }

// PrepareCall sets the number and the arguments of a system call, for a thread
// whose PC is at a system call instruction.
func (r *Registers) PrepareCall(nr uint64, args [6]uint64) {
	r.SystemCall = -1
	r.Regs[8] = nr
	copy(r.Regs[:6], args[:])
}

// Arguments are those of the system call that the thread is in, or is about to
// make.
func (r *Registers) Arguments() [6]uint64 { return [6]uint64(r.Regs[:6]) }

// Syscall is the number of the system call that the thread is in, or has just
// left; in is false if it came into the kernel by another way. At an EventStop
// the kernel has forgotten it already.
func (r *Registers) Syscall() (nr int64, in bool) {
	return int64(r.SystemCall), r.SystemCall >= 0
}

// Interrupted is always false: at an EventStop the kernel has already rewound
// the registers to the call's instruction and forgotten the call (do_signal,
// arch/arm64/kernel/signal.c).
func (r *Registers) Interrupted() bool { return false }

// Resolve has nothing to do on arm64, see Interrupted: the registers of an
// EventStop can be given to another thread as they are. A relative sleep then
// begins anew.
func (r *Registers) Resolve() (nr int64, in bool) {
	r.SystemCall = -1
	return -1, false
}

// usable says whether a call can be made with the system call instruction at an
// address. Not with the one that the thread is about to execute: if it stopped
// in a call with a restart block (nanosleep, say), the kernel remembers that
// and makes the next call at this address restart_syscall (do_signal,
// arch/arm64/kernel/signal.c).
func (r *Registers) usable(addr uint64) bool { return addr != r.Pc }

// Bytes are the registers as PTRACE_SETREGSET takes them for NT_PRSTATUS.
func (r *Registers) Bytes() []byte {
	b := make([]byte, 0, registersSize)
	for _, v := range r.Regs {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint64(b, r.Sp)
	b = binary.LittleEndian.AppendUint64(b, r.Pc)
	return binary.LittleEndian.AppendUint64(b, r.Pstate)
}

// ParseRegisters is the inverse of Bytes; the thread is in no system call.
func ParseRegisters(b []byte) (Registers, error) {
	r := Registers{SystemCall: -1}
	if len(b) != registersSize {
		return r, fmt.Errorf("general registers: %d bytes instead of %d", len(b), registersSize)
	}
	for i := range r.Regs {
		r.Regs[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	r.Sp = binary.LittleEndian.Uint64(b[8*31:])
	r.Pc = binary.LittleEndian.Uint64(b[8*32:])
	r.Pstate = binary.LittleEndian.Uint64(b[8*33:])
	return r, nil
}

// Narrow is never true: 32-bit code of arm is refused.
func (r *Registers) Narrow() bool { return false }

// forCalls are registers to make system calls with.
func (r *Registers) forCalls() (Registers, error) {
	if !r.Wide() {
		return *r, errors.New("it runs 32-bit code")
	}
	return *r, nil
}

// instruction is the one by which the thread enters the kernel.
func (r *Registers) instruction() []byte { return syscallInstruction }

// restartNumber is the number of restart_syscall(2).
func (r *Registers) restartNumber() uint64 { return unix.SYS_RESTART_SYSCALL }

// Native is the call that number nr means.
func (r *Registers) Native(nr int64) (native int64, short bool) { return nr, false }

func (t *Thread) getSet(note uint32, b []byte) (int, error) {
	return sys.PtraceGetRegset(t.tid, note, b)
}

func (t *Thread) setSet(note uint32, b []byte) error { return sys.PtraceSetRegset(t.tid, note, b) }

// Registers reads the general registers of the stopped thread.
func (t *Thread) Registers() (Registers, error) {
	b := make([]byte, registersSize)
	n, err := sys.PtraceGetRegset(t.tid, unix.NT_PRSTATUS, b)
	if err != nil {
		return Registers{}, t.wrap("read the registers of", err)
	}
	r, err := ParseRegisters(b[:n])
	if err != nil {
		return r, err
	}
	call := make([]byte, 4)
	if _, err := sys.PtraceGetRegset(t.tid, unix.NT_ARM_SYSTEM_CALL, call); err != nil {
		return r, t.wrap("read the system call of", err)
	}
	r.SystemCall = int32(binary.LittleEndian.Uint32(call))
	return r, nil
}

// SetRegisters writes the general registers of the stopped thread.
func (t *Thread) SetRegisters(r Registers) error {
	if err := sys.PtraceSetRegset(t.tid, unix.NT_PRSTATUS, r.Bytes()); err != nil {
		return t.wrap("write the registers of", err)
	}
	call := binary.LittleEndian.AppendUint32(nil, uint32(r.SystemCall))
	return t.wrap("write the system call of", sys.PtraceSetRegset(t.tid, unix.NT_ARM_SYSTEM_CALL, call))
}

// The note types that make up a thread's state, and how long they may get in
// bytes.
var registerNotes = []registerNote{
	{unix.NT_PRSTATUS, registersSize, true},
	{unix.NT_PRFPREG, 528, true},
	{unix.NT_ARM_TLS, 16, true},
	// Only where the CPU has them; written after NT_PRFPREG, the vectors of
	// SVE win.
	{unix.NT_ARM_SVE, 16 << 10, false},
	{unix.NT_ARM_PACA_KEYS, 128, false},
	{unix.NT_ARM_PACG_KEYS, 16, false},
	{unix.NT_ARM_TAGGED_ADDR_CTRL, 8, false},
	{unix.NT_ARM_PAC_ENABLED_KEYS, 8, false},
}

// syscallInstruction is `svc #0`.
var syscallInstruction = []byte{0x01, 0x00, 0x00, 0xd4}

const (
	syscallSize = 4
	syscallStep = 4
	// redZone: AAPCS64 has none; the kernel's signal frames leave 16 bytes.
	redZone = 128
)
