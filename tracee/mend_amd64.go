package tracee

import "golang.org/x/sys/unix"

// MendNeedsCall says whether Mend has to be told what SeeCall saw. Here the
// registers of the stop tell it all.
const MendNeedsCall = false

// mend changes the result of an interrupted call that has no restart code of
// its own; false if there is nothing to change. All of these have done nothing
// when they return EINTR.
func (r *Registers) mend(*CallSeen) bool {
	nr, in := r.Syscall()
	if !in || r.Result() != -int64(unix.EINTR) {
		return false
	}
	switch nr, _ = r.Native(nr); nr {
	case unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, // ep_poll, fs/eventpoll.c
		unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, // __do_semtimedop, ipc/sem.c
		unix.SYS_RT_SIGTIMEDWAIT, // kernel/signal.c
		unix.SYS_IO_GETEVENTS,    // fs/aio.c
		unix.SYS_IO_URING_ENTER,  // else it returns how much it has submitted (io_uring/io_uring.c)
		// Sockets with SO_RCVTIMEO or SO_SNDTIMEO (sock_intr_errno, include/net/sock.h).
		unix.SYS_READ, unix.SYS_READV, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_RECVMMSG,
		unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
		unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_CONNECT:
		r.SetResult(-erestartNoHand)
		return true
	}
	return false
}
