package tracee

import (
	"bytes"
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// Numbers of the system calls of 32-bit programs
// (arch/x86/entry/syscalls/syscall_32.tbl).
const (
	narrowRestart       = 0
	narrowNanosleep     = 162
	narrowPoll          = 168
	narrowFutex         = 240
	narrowClockSleep    = 267
	narrowClockSleep64  = 407
	narrowFutex64       = 422
	narrowSocketcall    = 102
	narrowIpc           = 117
	ipcSemop            = 1 // of ipc(2), include/uapi/linux/ipc.h
	ipcSemtimedop       = 4
	socketcallConnect   = 3 // of socketcall(2), include/uapi/linux/net.h
	socketcallAccept    = 5
	socketcallSend      = 9
	socketcallRecv      = 10
	socketcallSendto    = 11
	socketcallRecvfrom  = 12
	socketcallSendmsg   = 16
	socketcallRecvmsg   = 17
	socketcallRecvmmsg  = 19
	socketcallSendmmsg  = 20
	socketcallAccept4   = 18
	socketcallReceives  = 1<<socketcallRecv | 1<<socketcallRecvfrom | 1<<socketcallRecvmsg | 1<<socketcallRecvmmsg
	socketcallSends     = 1<<socketcallSend | 1<<socketcallSendto | 1<<socketcallSendmsg | 1<<socketcallSendmmsg
	socketcallAcceptAny = 1<<socketcallAccept | 1<<socketcallAccept4
)

// The 64-bit calls that do the same, of those that something here asks for.
var nativeCalls = map[int64]int64{
	narrowRestart: unix.SYS_RESTART_SYSCALL, narrowNanosleep: unix.SYS_NANOSLEEP, narrowPoll: unix.SYS_POLL,
	narrowFutex: unix.SYS_FUTEX, narrowFutex64: unix.SYS_FUTEX,
	narrowClockSleep: unix.SYS_CLOCK_NANOSLEEP, narrowClockSleep64: unix.SYS_CLOCK_NANOSLEEP,
	256: unix.SYS_EPOLL_WAIT, 319: unix.SYS_EPOLL_PWAIT, 441: unix.SYS_EPOLL_PWAIT2,
	420: unix.SYS_SEMTIMEDOP, 177: unix.SYS_RT_SIGTIMEDWAIT, 421: unix.SYS_RT_SIGTIMEDWAIT,
	3: unix.SYS_READ, 145: unix.SYS_READV, 371: unix.SYS_RECVFROM, 372: unix.SYS_RECVMSG, 364: unix.SYS_ACCEPT4,
	4: unix.SYS_WRITE, 146: unix.SYS_WRITEV, 369: unix.SYS_SENDTO, 370: unix.SYS_SENDMSG, 362: unix.SYS_CONNECT,
	337: unix.SYS_RECVMMSG, 417: unix.SYS_RECVMMSG, 345: unix.SYS_SENDMMSG,
}

// Native is the call that number nr means, if the thread runs 32-bit code by its
// 64-bit number; -1 for one that is none of those that matter here. short says
// that its times have 32 bits (struct old_timespec32).
func (r *Registers) Native(nr int64) (native int64, short bool) {
	if !r.Narrow() {
		return nr, false
	}
	switch nr {
	case narrowIpc:
		if op := r.Rbx & 0xffff; op == ipcSemop || op == ipcSemtimedop {
			return unix.SYS_SEMTIMEDOP, true
		}
	case narrowSocketcall:
		switch op := uint64(1) << (r.Rbx & 31); {
		case op == 1<<socketcallConnect:
			return unix.SYS_CONNECT, false
		case op&socketcallSends != 0:
			return unix.SYS_SENDMSG, false
		case op&socketcallReceives != 0:
			return unix.SYS_RECVMSG, false
		case op&socketcallAcceptAny != 0:
			return unix.SYS_ACCEPT4, false
		}
	}
	if native, ok := nativeCalls[nr]; ok {
		return native, nr == narrowNanosleep || nr == narrowClockSleep || nr == narrowFutex
	}
	return -1, false
}

// NarrowNumber is the number that 32-bit code has for one of the calls that the
// kernel restarts by itself, 0 if it is none of them; short says that its times
// have 32 bits, where there are two.
func NarrowNumber(native int64, short bool) uint32 {
	switch native {
	case unix.SYS_NANOSLEEP:
		return narrowNanosleep
	case unix.SYS_CLOCK_NANOSLEEP:
		if short {
			return narrowClockSleep
		}
		return narrowClockSleep64
	case unix.SYS_POLL:
		return narrowPoll
	case unix.SYS_FUTEX:
		return narrowFutex
	}
	return 0
}

// NarrowSleep is the number of a 32-bit clock_nanosleep whose times have the
// size of those of the call nr.
func NarrowSleep(nr uint64) uint64 {
	if nr == narrowClockSleep64 {
		return nr
	}
	return narrowClockSleep
}

// restartNumber is the number of restart_syscall(2).
func (r *Registers) restartNumber() uint64 {
	if r.Narrow() {
		return narrowRestart
	}
	return unix.SYS_RESTART_SYSCALL
}

// narrowInCode is numberInCode for 32-bit code. That calls the vdso's
// __kernel_vsyscall as a rule, which has three registers on the stack when it
// enters the kernel; the number is put into eax some instructions before.
func narrowInCode(mem *os.File, r *Registers) uint32 {
	const window = 64 // bytes before the call
	at := r.PC()
	behind := make([]byte, 4)
	if _, err := mem.ReadAt(behind, int64(at)); err != nil {
		return 0
	}
	if bytes.Equal(behind, []byte{0x5d, 0x5a, 0x59, 0xc3}) { // pop ebp, edx, ecx; ret
		var b [4]byte
		if _, err := mem.ReadAt(b[:], int64(r.SP()+12)); err != nil {
			return 0
		}
		at = uint64(binary.LittleEndian.Uint32(b[:]))
	}
	code := make([]byte, window)
	if at < window {
		return 0
	}
	if _, err := mem.ReadAt(code, int64(at-window)); err != nil {
		return 0
	}
	for i := len(code) - 5; i >= 0; i-- {
		if code[i] != 0xb8 { // mov $nr, %eax
			continue
		}
		switch nr := binary.LittleEndian.Uint32(code[i+1:]); nr {
		case narrowNanosleep, narrowPoll, narrowFutex, narrowClockSleep, narrowClockSleep64, narrowFutex64:
			return nr
		}
	}
	return 0
}
