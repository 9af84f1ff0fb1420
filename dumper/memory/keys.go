package memory

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/tracee"
)

// askKeys finds out which protection keys pkey_alloc(2) has given a process: it has it
// protect memory with each, at an address where none can be. With a key that it has
// not the kernel says EINVAL, else it looks for the memory, and says ENOMEM
// (do_mprotect_pkey, mm/mprotect.c).
func askKeys(r *tracee.Remote) (keys uint32, err error) {
	const nowhere = 1 << 56 // above what five levels of page tables reach
	if !hasKeys() {
		return 0, nil
	}
	for key := uint64(1); key < 16; key++ {
		_, err := r.Call(unix.SYS_PKEY_MPROTECT, nowhere, pageSize, unix.PROT_NONE, key)
		switch {
		case errors.Is(err, unix.ENOMEM):
			keys |= 1 << key
		case !errors.Is(err, unix.EINVAL):
			return 0, fmt.Errorf("key %d: the kernel says %v", key, err)
		}
	}
	return keys, nil
}

// hasKeys tells whether CPU and kernel have protection keys at all.
var hasKeys = sync.OnceValue(func() bool {
	key, _, errno := unix.Syscall(unix.SYS_PKEY_ALLOC, 0, 0, 0)
	if errno != 0 {
		return false
	}
	_, _, _ = unix.Syscall(unix.SYS_PKEY_FREE, key, 0, 0)
	return true
})
