// Package sys wraps the Linux system calls that golang.org/x/sys/unix has no
// wrapper for, one function per call and without any logic of its own: errors
// are the kernel's, as unix.Errno.
package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// call6 makes a system call and turns its errno into an error. What a pointer
// among its arguments points to is kept alive and in its place meanwhile.
//
//go:uintptrescapes
func call6(nr, a, b, c, d, e, f uintptr) (uintptr, error) {
	r, _, errno := unix.Syscall6(nr, a, b, c, d, e, f)
	if errno != 0 {
		return r, errno
	}
	return r, nil
}

// base returns where b begins; nil for an empty one.
func base(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
