package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// SendMessage is sendmsg(2), which unix.Sendmsg is not for a packet of no bytes:
// it would add one. name and control may be empty.
func SendMessage(fd int, data, control, name []byte, flags int) (int, error) {
	iov := unix.Iovec{Base: unsafe.SliceData(data)}
	iov.SetLen(len(data))
	h := unix.Msghdr{Iov: &iov, Control: unsafe.SliceData(control), Name: unsafe.SliceData(name), Namelen: uint32(len(name))}
	h.SetIovlen(1)
	h.SetControllen(len(control))
	n, err := call6(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(flags), 0, 0, 0)
	return int(n), err
}

// Received is what recvmsg(2) says of a message.
type Received struct {
	Size    int    // as the call returned it
	Name    []byte // the sender's address, raw
	Control []byte
	Flags   int // MSG_*
}

// ReceiveMessage is recvmsg(2). size may be more than data is long: what is
// behind data must then be memory that can't be written.
func ReceiveMessage(fd int, data []byte, size int, control []byte, flags int) (Received, error) {
	name := make([]byte, unix.SizeofSockaddrAny)
	iov := unix.Iovec{Base: unsafe.SliceData(data)}
	iov.SetLen(size)
	h := unix.Msghdr{Iov: &iov, Control: unsafe.SliceData(control), Name: &name[0], Namelen: uint32(len(name))}
	h.SetIovlen(1)
	h.SetControllen(len(control))
	n, err := call6(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), uintptr(flags), 0, 0, 0)
	if err != nil {
		return Received{}, err
	}
	return Received{Size: int(n), Name: name[:min(int(h.Namelen), len(name))], Control: control[:h.Controllen], Flags: int(h.Flags)}, nil
}

// UnixPath is the part of a UNIX socket's raw address that says more than its
// family: a path without the NUL byte that ends it, or an abstract name.
func UnixPath(name []byte) []byte {
	if len(name) <= 2 {
		return nil
	}
	path := name[2:]
	if path[0] != 0 {
		for i, c := range path {
			if c == 0 {
				return path[:i]
			}
		}
	}
	return path
}

// RawUnixAddress is a UNIX socket's address as calls take it.
func RawUnixAddress(path []byte) []byte {
	b := append([]byte{unix.AF_UNIX, 0}, path...)
	if len(path) > 0 && path[0] != 0 {
		b = append(b, 0)
	}
	return b
}

// Accept is accept4(2), close-on-exec, whatever the peer's address.
func Accept(fd int) (int, error) {
	n, err := call6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
	return int(n), err
}

// Connect is connect(2) with a raw address.
func Connect(fd int, name []byte) error {
	_, err := call6(unix.SYS_CONNECT, uintptr(fd), uintptr(base(name)), uintptr(len(name)), 0, 0, 0)
	return err
}
