package fds

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// memDevices are the minors of major 1 that hold no state, so that opening one
// again is all there is to do (Documentation/admin-guide/devices.txt).
var memDevices = map[uint64]string{3: "null", 5: "zero", 7: "full", 8: "random", 9: "urandom"}

// makeDevice opens a device that holds no state. Opening another one could do
// anything, so an image that asks for it is refused.
func makeDevice(_ context.Context, r *Restart, f *file) (int, error) {
	id := f.GetDevice()
	major, minor := id.GetRdev()>>32, id.GetRdev()&0xffffffff
	if id.GetMode()&unix.S_IFMT != unix.S_IFCHR || major != 1 || memDevices[minor] == "" {
		return -1, fmt.Errorf("%s, %s, is not one of the devices null, zero, full, random and urandom", id.GetPath(), describe(identityWas(id)))
	}
	return r.openAndSeek(f, id)
}
