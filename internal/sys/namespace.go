package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// NamespaceOwner is ioctl(2) NS_GET_OWNER_UID: the effective user id of who
// made a user namespace (ioctl_nsfs(2)).
func NamespaceOwner(fd int) (uint32, error) {
	var uid uint32
	_, err := call6(unix.SYS_IOCTL, uintptr(fd), unix.NS_GET_OWNER_UID, uintptr(unsafe.Pointer(&uid)), 0, 0, 0)
	return uid, err
}
