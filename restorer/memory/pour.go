package memory

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Pour puts bytes where they belong. It may run in many goroutines at once.
//
// What a program may not write itself (text, read-only data, PROT_NONE) is
// written through /proc/PID/mem, which may break copy-on-write in any private
// mapping (FOLL_FORCE, mm/gup.c).
func (b *Backing) Pour(owner uint32, offset uint64, data []byte) error {
	if o, ok := b.objects[owner]; ok {
		return o.pour(offset, data)
	}
	pid, ok := b.leader[owner]
	if !ok {
		return fmt.Errorf("the statefile has bytes for object %d, which has no memory", owner)
	}
	local := []unix.Iovec{{Base: &data[0], Len: uint64(len(data))}}
	remote := []unix.RemoteIovec{{Base: uintptr(offset), Len: len(data)}}
	if n, err := unix.ProcessVMWritev(pid, local, remote, 0); err == nil && n == len(data) {
		return nil
	}
	return force(pid, offset, data)
}

func force(pid int, offset uint64, data []byte) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(data, int64(offset)); err != nil {
		if errors.Is(err, unix.EIO) || errors.Is(err, unix.EFAULT) {
			return fmt.Errorf("write %d bytes of memory at %#x of process %d (does the kernel forbid it by proc_mem.force_override, or is memory short?): %w", len(data), offset, pid, err)
		}
		return fmt.Errorf("write %d bytes of memory at %#x of process %d: %w", len(data), offset, pid, err)
	}
	return nil
}
