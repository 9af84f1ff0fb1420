package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// TFD_IOC_SET_TICKS sets the expirations of a timerfd that were not read; an
// argument of 8 bytes (include/uapi/linux/timerfd.h).
const TFD_IOC_SET_TICKS = 0x40085400

// IoctlBytes is ioctl(2) with a structure given as its bytes, which it may
// change. b is as long as the structure.
func IoctlBytes(fd int, request uint, b []byte) error {
	_, err := call6(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(base(b)), 0, 0, 0)
	return err
}

// BindUnix is bind(2) of a UNIX socket to the bytes of sun_path, as they are:
// a path without its final NUL byte, or a NUL byte and an abstract name
// (unix(7)). More than 108 bytes are EINVAL.
func BindUnix(fd int, path []byte) error {
	var a unix.RawSockaddrUnix
	if len(path) > len(a.Path) {
		return unix.EINVAL
	}
	a.Family = unix.AF_UNIX
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&a.Path)), len(a.Path)), path)
	size := unsafe.Offsetof(a.Path) + uintptr(len(path))
	_, err := call6(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&a)), size, 0, 0, 0)
	return err
}

// FileOwner is struct f_owner_ex: who gets the signals of a descriptor
// (include/uapi/asm-generic/fcntl.h).
type FileOwner struct {
	Type int32
	PID  int32
}

// The types of FileOwner: F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP.
const (
	OwnerThread = iota
	OwnerProcess
	OwnerGroup
)

// Owner is fcntl(2) with F_GETOWN_EX.
func Owner(fd int) (o FileOwner, err error) {
	_, err = call6(unix.SYS_FCNTL, uintptr(fd), unix.F_GETOWN_EX, uintptr(unsafe.Pointer(&o)), 0, 0, 0)
	return o, err
}

// OwnerUIDs is fcntl(2) with F_GETOWNER_UIDS: the real and the effective user id
// of who set the owner; 0 where the kernel can't tell (CONFIG_CHECKPOINT_RESTORE).
func OwnerUIDs(fd int) (uid, euid uint32, err error) {
	const getOwnerUIDs = 17 // F_GETOWNER_UIDS, include/uapi/asm-generic/fcntl.h
	var ids [2]uint32
	_, err = call6(unix.SYS_FCNTL, uintptr(fd), getOwnerUIDs, uintptr(unsafe.Pointer(&ids)), 0, 0, 0)
	if err == unix.EINVAL {
		return 0, 0, nil
	}
	return ids[0], ids[1], err
}
