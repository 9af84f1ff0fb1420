package tracee

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// The calls that the kernel restarts through restart_syscall(2), of which it
// keeps the arguments to itself. The program's registers still have them.
var restartBlockCalls = []uint32{unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_POLL, unix.SYS_FUTEX}

// restarted finds the number of a call that was being restarted: it is the
// constant which the instruction before `syscall` puts into eax or rax.
func (t *Thread) restarted(r *Registers) (nr uint32, ok bool) {
	if call, _ := r.Syscall(); call != unix.SYS_RESTART_SYSCALL || !r.Interrupted() {
		return 0, false
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.tid))
	if err != nil {
		return 0, false
	}
	defer mem.Close()
	code := make([]byte, 8) // c0 | b8, 4 bytes, syscall
	if _, err := mem.ReadAt(code, int64(r.PC()-8)); err != nil || !bytes.HasSuffix(code, syscallInstruction) {
		return 0, false
	}
	movEax := code[1] == 0xb8                    // mov $nr, %eax
	movRax := code[0] == 0xc7 && code[1] == 0xc0 // (rex.w) mov $nr, %rax
	nr = binary.LittleEndian.Uint32(code[2:])
	return nr, (movEax || movRax) && slices.Contains(restartBlockCalls, nr)
}

func (r *Registers) restartAs(nr uint32) { r.OrigRax = uint64(nr) }
