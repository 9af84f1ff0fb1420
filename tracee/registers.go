package tracee

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// RegisterSet is what PTRACE_GETREGSET gives for one note type (NT_*, elf.h).
type RegisterSet struct {
	NoteType uint32
	Data     []byte
}

// Results of a system call that a stop interrupted (include/linux/errno.h).
const (
	erestartSys          = 512
	erestartNoIntr       = 513
	erestartNoHand       = 514
	erestartRestartBlock = 516
)

// registerNote is a set that belongs to the state of a thread on this CPU.
type registerNote struct {
	note     uint32
	size     int // bytes, at most
	required bool
}

// RegisterSets reads every set of registers that makes up the state of the
// stopped thread, general ones first; raw, a system call in flight as the
// kernel left it (see Registers.Resolve).
func (t *Thread) RegisterSets() ([]RegisterSet, error) {
	var sets []RegisterSet
	for _, n := range registerNotes {
		b := make([]byte, n.size)
		k, err := t.getSet(n.note, b)
		if err != nil {
			if !n.required && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV)) {
				continue
			}
			return nil, t.wrap(fmt.Sprintf("read register set %#x of", n.note), err)
		}
		sets = append(sets, RegisterSet{NoteType: n.note, Data: slices.Clone(b[:k])})
	}
	return sets, nil
}

// SetRegisterSets writes sets as RegisterSets returns them, in their order.
// EINVAL or EFAULT mean that this CPU can't hold such a set.
func (t *Thread) SetRegisterSets(sets []RegisterSet) error {
	for _, s := range sets {
		if err := t.setSet(s.NoteType, s.Data); err != nil {
			return t.wrap(fmt.Sprintf("write register set %#x of", s.NoteType), err)
		}
	}
	return nil
}

// SignalMask is the mask of blocked signals, bit n-1 for signal n. Of a thread
// that sleeps with a temporary mask (sigsuspend(2), ppoll(2) …) it is the mask
// to which it will return; the call sets the temporary one again when it is
// restarted.
func (t *Thread) SignalMask() (uint64, error) {
	m, err := sys.PtraceGetSigmask(t.tid)
	return m, t.wrap("read the signal mask of", err)
}

// SetSignalMask changes the mask of blocked signals.
func (t *Thread) SetSignalMask(mask uint64) error {
	return t.wrap("write the signal mask of", sys.PtraceSetSigmask(t.tid, mask))
}

// PendingSignals are the signals queued to the thread, or with shared to its
// process, in their order: a siginfo_t of 128 bytes each. They stay queued.
func (t *Thread) PendingSignals(shared bool) ([][]byte, error) {
	const batch = 32
	var signals [][]byte
	args := sys.PeekSiginfoArgs{Nr: batch}
	if shared {
		args.Flags = unix.PTRACE_PEEKSIGINFO_SHARED
	}
	for {
		b := make([]byte, batch*sys.SiginfoSize)
		n, err := sys.PtracePeekSiginfo(t.tid, &args, b)
		if err != nil {
			return nil, t.wrap("read the pending signals of", err)
		}
		for i := range n {
			signals = append(signals, b[i*sys.SiginfoSize:(i+1)*sys.SiginfoSize:(i+1)*sys.SiginfoSize])
		}
		if n < batch {
			return signals, nil
		}
		args.Off += uint64(n)
	}
}

// RseqConfiguration is the thread's registration of restartable sequences
// (rseq(2)); ptr is 0 if it has none, or if the kernel can't tell (before
// Linux 5.13).
func (t *Thread) RseqConfiguration() (ptr uint64, size, sig, flags uint32, err error) {
	c, err := sys.PtraceRseqConfiguration(t.tid)
	if errors.Is(err, unix.EIO) {
		return 0, 0, 0, 0, nil
	}
	if err != nil {
		return 0, 0, 0, 0, t.wrap("read the rseq registration of", err)
	}
	return c.Pointer, c.Size, c.Signature, c.Flags, nil
}

// CriticalSection reads what rseq_cs holds in the rseq area at ptr: the address
// of the description of the restartable sequence that the thread is in, 0 if
// it is in none. It must come before any system call that is made in the
// thread: the kernel clears the field then.
func (t *Thread) CriticalSection(ptr uint64) (uint64, error) {
	var b [8]byte
	there := []unix.RemoteIovec{{Base: uintptr(ptr + rseqCSOffset), Len: len(b)}}
	here := []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}
	if n, err := unix.ProcessVMReadv(t.tid, here, there, 0); err == nil && n == len(b) {
		return binary.LittleEndian.Uint64(b[:]), nil
	}
	// It may lie where the program itself can't read.
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.tid))
	if err != nil {
		return 0, err
	}
	defer mem.Close()
	if _, err := mem.ReadAt(b[:], int64(ptr+rseqCSOffset)); err != nil {
		return 0, fmt.Errorf("read the rseq area at %#x of task %d: %w", ptr, t.tid, err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
