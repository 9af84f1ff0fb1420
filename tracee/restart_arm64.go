package tracee

import (
	"bytes"
	"slices"

	"golang.org/x/sys/unix"
)

// On arm64 the kernel rewinds an interrupted system call before the EventStop
// and keeps the reason of the interruption to itself (do_signal,
// arch/arm64/kernel/signal.c). It goes by it when the thread goes on from where
// it was put: to continue a sleep where it was, or to have the call return
// EINTR when a signal handler runs. Any call that we make in between takes its
// place. So a Remote learns the reason before its first call, and reminds the
// kernel of it after its last one.

// learn lets the thread begin with the call again, which is not made: at its
// entry the kernel has shown whether it goes on with a sleep.
func (r *Remote) learn() error {
	b := make([]byte, syscallSize)
	if err := r.Read(r.original.Pc, b); err != nil || !bytes.Equal(b, syscallInstruction) || r.reason != 0 {
		return nil
	}
	if err := r.toSyscallStop(); err != nil {
		return err
	}
	entry, err := r.t.Registers()
	if err != nil {
		return err
	}
	r.reason = interruption(r.original.Regs[8])
	if entry.Regs[8] == unix.SYS_RESTART_SYSCALL {
		r.reason = erestartRestartBlock
	}
	entry.SystemCall = -1
	if err := r.t.SetRegisters(entry); err != nil {
		return err
	}
	return r.toSyscallStop()
}

// remind makes the last call look as if it were the one that was interrupted,
// so that the kernel finds it so on the way to the EventStop.
func (r *Remote) remind() error {
	if r.reason == 0 || !r.atExit || r.running {
		return nil
	}
	again := r.original
	again.Pc += syscallSize
	again.SetResult(-int64(r.reason))
	again.SystemCall = int32(again.Regs[8])
	return r.t.SetRegisters(again)
}

// interruption is the reason that the kernel has for a system call that sleeps
// without a restart block; 0 for one that does not sleep: the thread was about
// to make it.
func interruption(nr uint64) int {
	// Restarted unless a signal handler runs.
	noHand := []uint64{
		unix.SYS_PPOLL, unix.SYS_PSELECT6, unix.SYS_RT_SIGSUSPEND, unix.SYS_CLOCK_NANOSLEEP,
		unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP,
		unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_IO_GETEVENTS, unix.SYS_IO_PGETEVENTS,
	}
	// The handler decides, by SA_RESTART.
	bySignal := []uint64{
		unix.SYS_READ, unix.SYS_READV, unix.SYS_PREAD64, unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_PWRITE64,
		unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_RECVMMSG, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
		unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_CONNECT, unix.SYS_OPENAT, unix.SYS_OPENAT2,
		unix.SYS_WAIT4, unix.SYS_WAITID, unix.SYS_FUTEX, unix.SYS_FLOCK, unix.SYS_FCNTL, unix.SYS_IOCTL,
		unix.SYS_MQ_TIMEDSEND, unix.SYS_MQ_TIMEDRECEIVE, unix.SYS_MSGRCV, unix.SYS_MSGSND,
		unix.SYS_SPLICE, unix.SYS_TEE, unix.SYS_SENDFILE, unix.SYS_GETRANDOM,
	}
	switch {
	case slices.Contains(noHand, nr):
		return erestartNoHand
	case slices.Contains(bySignal, nr):
		return erestartSys
	}
	return 0
}
