package tasks

import (
	"errors"
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// maxCPUs bounds the size of an affinity mask; the kernel's limit is 8192.
const maxCPUs = 1 << 16

// scheduling reads how the task is scheduled.
func (k *looking) scheduling(tid int) (*format.Scheduling, error) {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return nil, fmt.Errorf("read its scheduling: %w", err)
	}
	io, err := sys.IOPrioGet(sys.IOPrioWhoProcess, tid)
	if err != nil {
		return nil, fmt.Errorf("read its io priority: %w", err)
	}
	s := &format.Scheduling{
		Policy: attr.Policy, Nice: attr.Nice, Priority: attr.Priority, Flags: attr.Flags, IoPriority: io,
		UtilMin: attr.Util_min, UtilMax: attr.Util_max,
	}
	if attr.Policy == unix.SCHED_DEADLINE {
		s.Runtime, s.Deadline, s.Period = attr.Runtime, attr.Deadline, attr.Period
	}
	for size := 128; size <= maxCPUs/8; size *= 2 {
		mask := make([]byte, size)
		n, err := sys.SchedGetaffinity(tid, mask)
		if errors.Is(err, unix.EINVAL) { // this machine has more CPUs
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read its CPU affinity: %w", err)
		}
		s.Affinity = mask[:n]
		return s, nil
	}
	return nil, fmt.Errorf("read its CPU affinity: this machine has more than %d CPUs", maxCPUs)
}
