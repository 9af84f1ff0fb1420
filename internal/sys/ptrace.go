package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of ptrace(2) that x/sys does not name (include/uapi/linux/ptrace.h).
const (
	ptraceSetsigmask = 0x420b
)

// SiginfoSize is sizeof(siginfo_t), in bytes, on every architecture.
const SiginfoSize = 128

// PeekSiginfoArgs is struct ptrace_peeksiginfo_args.
type PeekSiginfoArgs struct {
	Off   uint64 // of the first signal to copy, in the queue's order
	Flags uint32 // unix.PTRACE_PEEKSIGINFO_SHARED: the process's queue
	Nr    int32  // how many to copy at most
}

// RseqConfiguration is struct ptrace_rseq_configuration.
type RseqConfiguration struct {
	Pointer   uint64 // 0: not registered
	Size      uint32
	Signature uint32
	Flags     uint32
	_         uint32
}

// SyscallUserDispatch is struct ptrace_sud_config.
type SyscallUserDispatch struct {
	Mode     uint64 // PR_SYS_DISPATCH_OFF (0) or PR_SYS_DISPATCH_ON (1)
	Selector uint64
	Offset   uint64
	Length   uint64
}

func ptrace(request, tid int, addr uintptr, data unsafe.Pointer) (uintptr, error) {
	return call6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, uintptr(data), 0, 0)
}

// PtraceSeize is PTRACE_SEIZE with PTRACE_O_* options.
func PtraceSeize(tid int, options uint) error {
	_, err := call6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, uintptr(options), 0, 0)
	return err
}

// PtraceSetOptions is PTRACE_SETOPTIONS.
func PtraceSetOptions(tid int, options uint) error {
	_, err := call6(unix.SYS_PTRACE, unix.PTRACE_SETOPTIONS, uintptr(tid), 0, uintptr(options), 0, 0)
	return err
}

// PtraceInterrupt is PTRACE_INTERRUPT.
func PtraceInterrupt(tid int) error {
	_, err := ptrace(unix.PTRACE_INTERRUPT, tid, 0, nil)
	return err
}

// PtraceCont is PTRACE_CONT with a signal to deliver, or 0.
func PtraceCont(tid int, sig unix.Signal) error {
	_, err := call6(unix.SYS_PTRACE, unix.PTRACE_CONT, uintptr(tid), 0, uintptr(sig), 0, 0)
	return err
}

// PtraceSyscall is PTRACE_SYSCALL with a signal to deliver, or 0.
func PtraceSyscall(tid int, sig unix.Signal) error {
	_, err := call6(unix.SYS_PTRACE, unix.PTRACE_SYSCALL, uintptr(tid), 0, uintptr(sig), 0, 0)
	return err
}

// PtraceSinglestep is PTRACE_SINGLESTEP with a signal to deliver, or 0.
func PtraceSinglestep(tid int, sig unix.Signal) error {
	_, err := call6(unix.SYS_PTRACE, unix.PTRACE_SINGLESTEP, uintptr(tid), 0, uintptr(sig), 0, 0)
	return err
}

// PtraceDetach is PTRACE_DETACH with a signal to deliver, or 0.
func PtraceDetach(tid int, sig unix.Signal) error {
	_, err := call6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(tid), 0, uintptr(sig), 0, 0)
	return err
}

// PtraceEventMessage is PTRACE_GETEVENTMSG.
func PtraceEventMessage(tid int) (uint64, error) {
	var m uint64
	_, err := ptrace(unix.PTRACE_GETEVENTMSG, tid, 0, unsafe.Pointer(&m))
	return m, err
}

// PtraceGetRegset is PTRACE_GETREGSET: it fills b with the set of an NT_*
// note type and returns how many bytes the kernel gave. It cuts a set that is
// longer than b without a word.
func PtraceGetRegset(tid int, note uint32, b []byte) (int, error) {
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	_, err := ptrace(unix.PTRACE_GETREGSET, tid, uintptr(note), unsafe.Pointer(&v))
	return int(v.Len), err
}

// PtraceSetRegset is PTRACE_SETREGSET.
func PtraceSetRegset(tid int, note uint32, b []byte) error {
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	_, err := ptrace(unix.PTRACE_SETREGSET, tid, uintptr(note), unsafe.Pointer(&v))
	return err
}

// PtraceGetSigmask is PTRACE_GETSIGMASK: bit n-1 is signal n. Of a task that
// sleeps with a temporary mask (sigsuspend, ppoll …) it is the mask that will
// be restored.
func PtraceGetSigmask(tid int) (uint64, error) {
	var m uint64
	_, err := ptrace(unix.PTRACE_GETSIGMASK, tid, unsafe.Sizeof(m), unsafe.Pointer(&m))
	return m, err
}

// PtraceSetSigmask is PTRACE_SETSIGMASK. A temporary mask is forgotten.
func PtraceSetSigmask(tid int, mask uint64) error {
	_, err := ptrace(ptraceSetsigmask, tid, unsafe.Sizeof(mask), unsafe.Pointer(&mask))
	return err
}

// PtracePeekSiginfo is PTRACE_PEEKSIGINFO. b has SiginfoSize bytes for each of
// a.Nr signals; it returns how many were copied.
func PtracePeekSiginfo(tid int, a *PeekSiginfoArgs, b []byte) (int, error) {
	n, err := call6(unix.SYS_PTRACE, unix.PTRACE_PEEKSIGINFO, uintptr(tid),
		uintptr(unsafe.Pointer(a)), uintptr(base(b)), 0, 0)
	return int(n), err
}

// PtraceRseqConfiguration is PTRACE_GET_RSEQ_CONFIGURATION (Linux 5.13; EIO
// before).
func PtraceRseqConfiguration(tid int) (RseqConfiguration, error) {
	var c RseqConfiguration
	_, err := ptrace(unix.PTRACE_GET_RSEQ_CONFIGURATION, tid, unsafe.Sizeof(c), unsafe.Pointer(&c))
	return c, err
}

// PtraceSyscallUserDispatch is PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
// (Linux 6.4; EIO before and where the architecture has none).
func PtraceSyscallUserDispatch(tid int) (SyscallUserDispatch, error) {
	var c SyscallUserDispatch
	_, err := ptrace(unix.PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, unsafe.Sizeof(c), unsafe.Pointer(&c))
	return c, err
}

// PtraceSetSyscallUserDispatch is PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG.
func PtraceSetSyscallUserDispatch(tid int, c SyscallUserDispatch) error {
	_, err := ptrace(unix.PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, tid, unsafe.Sizeof(c), unsafe.Pointer(&c))
	return err
}

// SizeofUserDesc is sizeof(struct user_desc), in bytes (amd64).
const SizeofUserDesc = 16

// PtraceThreadArea is PTRACE_GET_THREAD_AREA or PTRACE_SET_THREAD_AREA (amd64):
// a segment of set_thread_area(2), by its number.
func PtraceThreadArea(request, tid int, number uint32, desc []byte) error {
	_, err := ptrace(request, tid, uintptr(number), unsafe.Pointer(unsafe.SliceData(desc)))
	return err
}

// PtracePeekUser is PTRACE_PEEKUSR: the word at an offset of struct user.
func PtracePeekUser(tid int, offset uintptr) (uint64, error) {
	var w uint64
	_, err := ptrace(unix.PTRACE_PEEKUSR, tid, offset, unsafe.Pointer(&w))
	return w, err
}

// PtracePokeUser is PTRACE_POKEUSR.
func PtracePokeUser(tid int, offset uintptr, word uint64) error {
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_POKEUSR, uintptr(tid), offset, uintptr(word), 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// SeccompMetadata is struct seccomp_metadata.
type SeccompMetadata struct {
	FilterOff uint64 // which one, counted as in PtraceSeccompFilter
	Flags     uint64 // SECCOMP_FILTER_FLAG_LOG, or 0
}

// PtraceSeccompFilter is PTRACE_SECCOMP_GET_FILTER: the instructions of the
// thread's filter number index, 0 for the one that was loaded first. It returns
// how many there are; ENOENT: no such filter. b has room for BPF_MAXINSNS.
func PtraceSeccompFilter(tid, index int, b []byte) (int, error) {
	n, err := ptrace(unix.PTRACE_SECCOMP_GET_FILTER, tid, uintptr(index), base(b))
	return int(n), err
}

// PtraceSeccompMetadata is PTRACE_SECCOMP_GET_METADATA.
func PtraceSeccompMetadata(tid int, m *SeccompMetadata) error {
	_, err := ptrace(unix.PTRACE_SECCOMP_GET_METADATA, tid, unsafe.Sizeof(*m), unsafe.Pointer(m))
	return err
}
