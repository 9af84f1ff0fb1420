package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// KcmpType says what kcmp(2) compares (include/uapi/linux/kcmp.h).
type KcmpType int

// The types of kcmp.
const (
	KcmpFile KcmpType = iota
	KcmpVM
	KcmpFiles
	KcmpFS
	KcmpSighand
	KcmpIO
	KcmpSysvsem
	KcmpEpollTfd
)

// KcmpEpollSlot is struct kcmp_epoll_slot.
type KcmpEpollSlot struct {
	Efd  uint32
	Tfd  uint32
	Toff uint32
}

// Kcmp is kcmp(2): 0 equal, 1 less, 2 greater, 3 different without an order.
// index1 and index2 are descriptors for KcmpFile and 0 otherwise.
func Kcmp(tid1, tid2 int, what KcmpType, index1, index2 uintptr) (int, error) {
	r, err := call6(unix.SYS_KCMP, uintptr(tid1), uintptr(tid2), uintptr(what), index1, index2, 0)
	return int(r), err
}

// KcmpEpoll is kcmp(2) with KCMP_EPOLL_TFD: compares descriptor fd of tid1 with
// a target of an epoll of tid2.
func KcmpEpoll(tid1, tid2 int, fd uintptr, slot *KcmpEpollSlot) (int, error) {
	r, err := call6(unix.SYS_KCMP, uintptr(tid1), uintptr(tid2), uintptr(KcmpEpollTfd), fd,
		uintptr(unsafe.Pointer(slot)), 0)
	return int(r), err
}

// GetRobustList is get_robust_list(2): address and length of the head.
func GetRobustList(tid int) (head, length uint64, err error) {
	_, err = call6(unix.SYS_GET_ROBUST_LIST, uintptr(tid),
		uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&length)), 0, 0, 0)
	return head, length, err
}

// Which task ioprio_get(2) means.
const (
	IOPrioWhoProcess = 1
)

// IOPrioGet is ioprio_get(2).
func IOPrioGet(which, who int) (uint32, error) {
	r, err := call6(unix.SYS_IOPRIO_GET, uintptr(which), uintptr(who), 0, 0, 0, 0)
	return uint32(r), err
}

// SchedGetaffinity is sched_getaffinity(2) with a mask of any size; it returns
// how many bytes of mask the kernel filled.
func SchedGetaffinity(tid int, mask []byte) (int, error) {
	r, err := call6(unix.SYS_SCHED_GETAFFINITY, uintptr(tid), uintptr(len(mask)), uintptr(base(mask)), 0, 0, 0)
	return int(r), err
}

// SchedYield is sched_yield(2).
func SchedYield() {
	unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
}

// PrSchedCore is PR_SCHED_CORE, and PrSchedCoreGet its command to read a cookie.
const (
	PrSchedCore    = 62
	PrSchedCoreGet = 0
)

// SchedCoreCookie is prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET) of a thread; 0 if
// it has none.
func SchedCoreCookie(tid int) (uint64, error) {
	var cookie uint64
	const thread = 0 // PR_SCHED_CORE_SCOPE_THREAD
	_, err := call6(unix.SYS_PRCTL, PrSchedCore, PrSchedCoreGet, uintptr(tid), thread,
		uintptr(unsafe.Pointer(&cookie)), 0)
	return cookie, err
}

// CloneArgs is struct clone_args (clone3(2)), version 2.
type CloneArgs struct {
	Flags      uint64
	Pidfd      uint64
	ChildTID   uint64
	ParentTID  uint64
	ExitSignal uint64
	Stack      uint64
	StackSize  uint64
	TLS        uint64
	SetTID     uint64 // address of an array of pid_t
	SetTIDSize uint64 // its length in elements
	Cgroup     uint64
}

// SizeofCloneArgs is sizeof(struct clone_args), in bytes.
const SizeofCloneArgs = 88

// PrctlMmMap is struct prctl_mm_map (prctl(2), PR_SET_MM_MAP).
type PrctlMmMap struct {
	StartCode, EndCode uint64
	StartData, EndData uint64
	StartBrk, Brk      uint64
	StartStack         uint64
	ArgStart, ArgEnd   uint64
	EnvStart, EnvEnd   uint64
	Auxv               uint64 // address of the auxiliary vector
	AuxvSize           uint32 // bytes
	ExeFD              uint32 // descriptor; all ones: leave it
}

// SizeofPrctlMmMap is sizeof(struct prctl_mm_map), in bytes.
const SizeofPrctlMmMap = 104

// CurrentCPU is the CPU that the calling thread runs on, just now.
func CurrentCPU() int {
	var cpu uint32
	_, _ = call6(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0, 0, 0, 0)
	return int(cpu)
}

// PrctlMmMapSize is prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE): the size of struct
// prctl_mm_map, of a kernel that has it.
func PrctlMmMapSize() (size uint32, err error) {
	_, err = call6(unix.SYS_PRCTL, unix.PR_SET_MM, unix.PR_SET_MM_MAP_SIZE, uintptr(unsafe.Pointer(&size)), 0, 0, 0)
	return size, err
}
