package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// AddMulticast has an interface listen to a link-layer address (SIOCADDMULTI,
// netdevice(7)).
func AddMulticast(fd int, name string, address []byte) error {
	var request [40]byte // struct ifreq
	copy(request[:15], name)
	copy(request[18:32], address) // ifr_hwaddr.sa_data; its family is AF_UNSPEC
	_, err := call6(unix.SYS_IOCTL, uintptr(fd), unix.SIOCADDMULTI, uintptr(unsafe.Pointer(&request)), 0, 0, 0)
	return err
}
