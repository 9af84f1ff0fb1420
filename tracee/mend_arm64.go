package tracee

import (
	"slices"

	"golang.org/x/sys/unix"
)

// MendNeedsCall says whether Mend has to be told what SeeCall saw. Here it has:
// at the stop the kernel has forgotten the call, and its result has taken the
// place of the first argument.
const MendNeedsCall = true

// The calls that have no restart code of their own. All of them have done
// nothing when they return EINTR.
var mendable = []uint64{
	unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, // ep_poll, fs/eventpoll.c
	unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, // __do_semtimedop, ipc/sem.c
	unix.SYS_RT_SIGTIMEDWAIT, // kernel/signal.c
	unix.SYS_IO_GETEVENTS,    // fs/aio.c
	unix.SYS_IO_URING_ENTER,  // else it returns how much it has submitted (io_uring/io_uring.c)
	// Sockets with SO_RCVTIMEO or SO_SNDTIMEO (sock_intr_errno, include/net/sock.h).
	unix.SYS_READ, unix.SYS_READV, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_RECVMMSG,
	unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
	unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_CONNECT,
}

// mend rewinds a call that has no restart code of its own; false if there is
// nothing to change. That the thread is still where it was seen is clear from
// all that the kernel left untouched: stack, pc, number and other arguments.
func (r *Registers) mend(before *CallSeen) bool {
	if before == nil || r.Result() != -int64(unix.EINTR) ||
		r.Regs[8] != before.nr || !slices.Contains(mendable, before.nr) ||
		r.Sp != before.sp || r.Pc != before.pc || [5]uint64(r.Regs[1:6]) != [5]uint64(before.args[1:]) {
		return false
	}
	r.Regs[0] = before.args[0]
	r.Pc -= syscallSize
	return true
}
