package sys

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IoUringParams is struct io_uring_params (include/uapi/linux/io_uring.h, as all
// of this file).
type IoUringParams struct {
	SQEntries, CQEntries, Flags uint32
	SQThreadCPU, SQThreadIdle   uint32
	Features, WorkQueue         uint32
	_                           [3]uint32
	SQ                          struct {
		Head, Tail, RingMask, RingEntries, Flags, Dropped, Array, _ uint32
		_                                                           uint64
	}
	CQ struct {
		Head, Tail, RingMask, RingEntries, Overflow, CQEs, Flags, _ uint32
		_                                                           uint64
	}
}

// IORING_SETUP_*: what the flags of io_uring_setup(2) and of a ring mean.
const (
	UringIOPoll        = 1 << 0
	UringSQPoll        = 1 << 1
	UringCQSize        = 1 << 3
	UringClamp         = 1 << 4
	UringAttachWQ      = 1 << 5
	UringDisabled      = 1 << 6
	UringSQE128        = 1 << 10
	UringCQE32         = 1 << 11
	UringSingleIssuer  = 1 << 12
	UringDeferTaskrun  = 1 << 13
	UringNoMmap        = 1 << 14
	UringOnlyRegistred = 1 << 15 // REGISTERED_FD_ONLY
	UringNoSQArray     = 1 << 16
)

// Where mmap(2) finds the parts of a ring, IORING_OFF_*.
const (
	UringOffSQ      = 0
	UringOffCQ      = 0x8000000
	UringOffSQEs    = 0x10000000
	UringOffBuffers = 0x80000000 // and the number of a ring of buffers, shifted
	UringBufferBits = 16
)

// Sizes of the structures in a ring.
const (
	UringSQESize = 64 // twice that with UringSQE128
	UringCQESize = 16 // twice that with UringCQE32
)

// Flags of an SQE, IOSQE_*.
const (
	SQEFixedFile    = 1 << 0
	SQEDrain        = 1 << 1
	SQELink         = 1 << 2
	SQEHardLink     = 1 << 3
	SQEAsync        = 1 << 4
	SQEBufferSelect = 1 << 5
	SQESkipSuccess  = 1 << 6
)

// Flags and operations of io_uring_enter(2) and io_uring_register(2).
const (
	UringEnterGetEvents = 1 << 0

	UringRegisterEventfd      = 4
	UringUnregisterFiles      = 3
	UringRegisterEventfdAsync = 7
	UringRegisterFiles2       = 13
	UringRegisterBuffers2     = 15
	UringRegisterWorkers      = 19 // IOWQ_MAX_WORKERS
	UringRegisterRingFDs      = 20
	UringRegisterBufferRing   = 22
	UringRegisterClock        = 29
)

// Operations of an SQE, IORING_OP_*, that a restart uses.
const (
	UringOpReadv         = 1
	UringOpWritev        = 2
	UringOpReadFixed     = 4
	UringOpWriteFixed    = 5
	UringOpPollAdd       = 6
	UringOpSendmsg       = 9
	UringOpRecvmsg       = 10
	UringOpTimeout       = 11
	UringOpAccept        = 13
	UringOpLinkTimeout   = 15
	UringOpRead          = 22
	UringOpWrite         = 23
	UringOpSend          = 26
	UringOpRecv          = 27
	UringOpMsgRing       = 40 // IORING_OP_MSG_RING
	UringOpSendZC        = 47
	UringOpSendmsgZC     = 48
	UringOpReadMultishot = 49
	UringOpFutexWait     = 51
)

// uringOps are the names of IORING_OP_*.
var uringOps = []string{
	"NOP", "READV", "WRITEV", "FSYNC", "READ_FIXED", "WRITE_FIXED", "POLL_ADD", "POLL_REMOVE", "SYNC_FILE_RANGE", "SENDMSG",
	"RECVMSG", "TIMEOUT", "TIMEOUT_REMOVE", "ACCEPT", "ASYNC_CANCEL", "LINK_TIMEOUT", "CONNECT", "FALLOCATE", "OPENAT", "CLOSE",
	"FILES_UPDATE", "STATX", "READ", "WRITE", "FADVISE", "MADVISE", "SEND", "RECV", "OPENAT2", "EPOLL_CTL",
	"SPLICE", "PROVIDE_BUFFERS", "REMOVE_BUFFERS", "TEE", "SHUTDOWN", "RENAMEAT", "UNLINKAT", "MKDIRAT", "SYMLINKAT", "LINKAT",
	"MSG_RING", "FSETXATTR", "SETXATTR", "FGETXATTR", "GETXATTR", "SOCKET", "URING_CMD", "SEND_ZC", "SENDMSG_ZC", "READ_MULTISHOT",
	"WAITID", "FUTEX_WAIT", "FUTEX_WAKE", "FUTEX_WAITV", "FIXED_FD_INSTALL", "FTRUNCATE", "BIND", "LISTEN", "RECV_ZC", "EPOLL_WAIT",
	"READV_FIXED", "WRITEV_FIXED", "PIPE", "NOP128", "URING_CMD128",
}

// UringOp is the name of an operation.
func UringOp(op uint8) string {
	if int(op) < len(uringOps) {
		return "IORING_OP_" + uringOps[op]
	}
	return fmt.Sprintf("IORING_OP %d", op)
}

// IoUringParamsSize is sizeof(struct io_uring_params).
const IoUringParamsSize = int(unsafe.Sizeof(IoUringParams{}))

// PageFrames are the page frames behind pages of a process's memory; 0: none is
// there, or the kernel does not tell (it needs CAP_SYS_ADMIN).
func PageFrames(pid int, address uint64, n int) ([]uint64, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/pagemap", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	frames := make([]uint64, n)
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(frames))), 8*n)
	read, err := unix.Pread(fd, b, int64(address/uint64(unix.Getpagesize())*8))
	if err != nil {
		return nil, err
	}
	const present, frame = 1 << 63, 1<<55 - 1
	for i := range frames {
		if 8*i >= read || frames[i]&present == 0 {
			frames[i] = 0
		}
		frames[i] &= frame
	}
	return frames, nil
}
