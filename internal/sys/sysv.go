package sys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenMapping opens the file behind a mapping of ours, which m begins and ends,
// to read and write.
func OpenMapping(m []byte) (*os.File, error) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(m)))
	var f *os.File
	var err error
	for _, page := range []int{os.Getpagesize(), 2 << 20, 1 << 30} { // where it ends, if its pages are huge
		end := (start + uintptr(len(m)) + uintptr(page) - 1) &^ (uintptr(page) - 1)
		f, err = os.OpenFile(fmt.Sprintf("/proc/self/map_files/%x-%x", start, end), os.O_RDWR, 0)
		if !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return f, err
}

// Commands of semctl(2) (include/uapi/linux/sem.h).
const (
	semGetAll = 13
	semSetAll = 17
)

// SemGetAll is semctl(2) with GETALL.
func SemGetAll(id, n int) ([]uint16, error) {
	values := make([]uint16, max(n, 1))
	_, err := call6(unix.SYS_SEMCTL, uintptr(id), 0, semGetAll, uintptr(unsafe.Pointer(&values[0])), 0, 0)
	return values[:n], err
}

// SemSetAll is semctl(2) with SETALL.
func SemSetAll(id int, values []uint16) error {
	_, err := call6(unix.SYS_SEMCTL, uintptr(id), 0, semSetAll, uintptr(unsafe.Pointer(unsafe.SliceData(values))), 0, 0)
	return err
}

// SemGet is semget(2).
func SemGet(key, n, flags int) (int, error) {
	id, err := call6(unix.SYS_SEMGET, uintptr(key), uintptr(n), uintptr(flags), 0, 0, 0)
	return int(id), err
}

// SemOpSize is sizeof(struct sembuf); SemUndo is SEM_UNDO.
const (
	SemOpSize = 6
	SemUndo   = 0x1000
)

// AppendSemOp appends a struct sembuf.
func AppendSemOp(b []byte, number, operation, flags int) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(number))
	b = binary.NativeEndian.AppendUint16(b, uint16(operation))
	return binary.NativeEndian.AppendUint16(b, uint16(flags))
}

// SemOp is semop(2) with operations of AppendSemOp.
func SemOp(id int, operations []byte) error {
	_, err := call6(unix.SYS_SEMTIMEDOP, uintptr(id), uintptr(unsafe.Pointer(unsafe.SliceData(operations))), uintptr(len(operations)/SemOpSize), 0, 0, 0)
	return err
}

// SemSet is semctl(2) with IPC_SET: struct semid_ds begins with a struct
// ipc64_perm, and nothing else of it is taken.
func SemSet(id int, p unix.SysvIpcPerm) error {
	var d struct {
		perm unix.SysvIpcPerm
		rest [128]byte
	}
	d.perm = p
	_, err := call6(unix.SYS_SEMCTL, uintptr(id), 0, unix.IPC_SET, uintptr(unsafe.Pointer(&d)), 0, 0)
	return err
}

// msqid is struct msqid64_ds (include/uapi/asm-generic/msgbuf.h) of 64-bit CPUs.
type msqid struct {
	perm                unix.SysvIpcPerm
	stime, rtime, ctime int64
	cbytes, qnum        uint64
	qbytes              uint64
	lspid, lrpid        int32
	_, _                uint64
}

// MsgGet is msgget(2).
func MsgGet(key, flags int) (int, error) {
	id, err := call6(unix.SYS_MSGGET, uintptr(key), uintptr(flags), 0, 0, 0, 0)
	return int(id), err
}

// MsgCapacity is msg_qbytes of msgctl(2).
func MsgCapacity(id int) (uint32, error) {
	var d msqid
	const stat = 2
	_, err := call6(unix.SYS_MSGCTL, uintptr(id), stat, uintptr(unsafe.Pointer(&d)), 0, 0, 0)
	return uint32(d.qbytes), err
}

// MsgSet is msgctl(2) with IPC_SET.
func MsgSet(id int, p unix.SysvIpcPerm, capacity uint32) error {
	d := msqid{perm: p, qbytes: uint64(capacity)}
	_, err := call6(unix.SYS_MSGCTL, uintptr(id), unix.IPC_SET, uintptr(unsafe.Pointer(&d)), 0, 0, 0)
	return err
}

// MsgCopy is msgrcv(2) with MSG_COPY: the message at a place in the queue, which
// stays there. buffer has room for 8 bytes more than the message; data is in it.
func MsgCopy(id, place int, buffer []byte) (kind int64, data []byte, err error) {
	const msgCopy = 0o40000
	n, err := call6(unix.SYS_MSGRCV, uintptr(id), uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)-8), uintptr(place), msgCopy|unix.IPC_NOWAIT, 0)
	if err != nil {
		return 0, nil, err
	}
	return int64(binary.NativeEndian.Uint64(buffer)), buffer[8 : 8+n], nil
}

// MsgSend is msgsnd(2), which does not wait.
func MsgSend(id int, kind int64, data []byte) error {
	buffer := binary.NativeEndian.AppendUint64(nil, uint64(kind))
	buffer = append(buffer, data...)
	_, err := call6(unix.SYS_MSGSND, uintptr(id), uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(data)), unix.IPC_NOWAIT, 0, 0)
	return err
}
