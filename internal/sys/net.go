package sys

import (
	"fmt"
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

// InterfaceName asks a socket for the name of an interface of its namespace.
func InterfaceName(fd int, index uint32) (string, error) {
	r, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	r.SetUint32(index)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, r); err != nil {
		return "", fmt.Errorf("ask for the name of interface %d: %w", index, err)
	}
	return r.Name(), nil
}
