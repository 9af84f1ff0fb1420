package tracee

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// The calls that the kernel restarts through restart_syscall(2), of which it
// keeps the arguments to itself. The program's registers still have them.
var restartBlockCalls = []uint32{unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_POLL, unix.SYS_FUTEX}

// numberInCode finds the number of a call that was being restarted: it is the
// constant which the instruction before `syscall` puts into eax or rax. 0 if it
// is not to be seen there.
func (t *Thread) numberInCode(r *Registers) uint32 {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.tid))
	if err != nil {
		return 0
	}
	defer mem.Close()
	if r.Narrow() {
		return narrowInCode(mem, r)
	}
	code := make([]byte, 8) // c0 | b8, 4 bytes, syscall
	if _, err := mem.ReadAt(code, int64(r.PC()-8)); err != nil || !bytes.HasSuffix(code, syscallInstruction) {
		return 0
	}
	movEax := code[1] == 0xb8                    // mov $nr, %eax
	movRax := code[0] == 0xc7 && code[1] == 0xc0 // (rex.w) mov $nr, %rax
	nr := binary.LittleEndian.Uint32(code[2:])
	if (movEax || movRax) && slices.Contains(restartBlockCalls, nr) {
		return nr
	}
	return 0
}

// NumberInFlight is the number of the call that the registers of an EventStop are
// in, by the table of calls of the code that the thread runs; 0 if the kernel was
// restarting it, and it is not to be found any more.
func (t *Thread) NumberInFlight(r *Registers) uint32 {
	if r.OrigRax == r.restartNumber() {
		return t.numberInCode(r)
	}
	return uint32(r.OrigRax)
}

func (r *Registers) restartAs(nr uint32) {
	if nr != 0 {
		r.OrigRax = uint64(nr)
	}
}

// InBlock says whether the stop interrupted a call that only the kernel can go
// on with, by what it keeps of it (ERESTART_RESTARTBLOCK).
func (t *Thread) InBlock(context.Context) (bool, error) {
	r, err := t.InFlight()
	return err == nil && r.Interrupted() && -r.Result() == erestartRestartBlock, err
}

// CallNumber is the number of the call that the registers of an EventStop are
// in, RESTART_SYSCALL if the kernel was restarting it.
func CallNumber(r *Registers) int64 {
	nr, _ := r.Native(int64(r.OrigRax))
	return nr
}

// InFlight are the registers of an EventStop, with a call that the kernel goes on
// with shown as interrupted. A stop can come a moment later: when the kernel has
// put restart_syscall's number into rax, and the thread has yet to issue it
// (arch_do_signal_or_restart, arch/x86/kernel/signal.c; on a busy machine it may
// wait there for its turn). In another thread that call would return EINTR.
func (t *Thread) InFlight() (Registers, error) {
	r, err := t.Registers()
	if err == nil && r.Rax == r.restartNumber() && t.beforeCall(&r) {
		r.Rip += syscallSize
		r.OrigRax = r.restartNumber()
		r.SetResult(-erestartRestartBlock)
	}
	return r, err
}
