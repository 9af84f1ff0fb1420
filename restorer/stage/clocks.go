package stage

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/stub"
)

// offsets finds the offsets of the time namespace that the container's clocks
// need; nil if they are right without one.
//
// To the container the time of its absence is like that of a suspended machine:
// CLOCK_MONOTONIC stands still, and goes on from where it stopped;
// CLOCK_BOOTTIME goes on as the time of the day does. Only a container that had no
// time namespace, and comes back during the same run of the kernel, gets none: its
// clocks simply are the host's, which went on.
func (n Need) offsets() (*procfs.TimeOffsets, error) {
	now, err := clocks.Now()
	if err != nil {
		return nil, err
	}
	boot, err := clocks.BootID()
	if err != nil {
		return nil, err
	}
	o := offsets(n.Skeleton, now, boot)
	if o == nil {
		return nil, nil
	}
	if _, err := os.Stat("/proc/self/timens_offsets"); errors.Is(err, os.ErrNotExist) {
		n.Log.Warn("this kernel has no time namespaces (CONFIG_TIME_NS): the container's CLOCK_MONOTONIC jumps", "by", time.Duration(-o.Monotonic))
		return nil, nil
	}
	return o, nil
}

// offsets is what Need.offsets works out, from what the clocks show in the first
// time namespace, and which run of the kernel this is.
func offsets(s *format.Skeleton, now clocks.Times, boot string) *procfs.TimeOffsets {
	h, same := s.Header, s.Header.BootId == boot
	own := s.Container.CloneFlags&unix.CLONE_NEWTIME != 0
	if h.BootId == "" || same && !own {
		return nil
	}
	o := &procfs.TimeOffsets{Monotonic: h.MonotonicNs - now.Monotonic}
	away := max(now.Realtime-h.TimeNs, 0)
	o.Boottime = h.BoottimeNs + away - now.Boottime
	for _, ns := range s.Namespaces {
		if same && ns.Kind == format.NamespaceKind_TIME && ns.Time != nil {
			o.Boottime = ns.Time.BoottimeNs // it never stopped
		}
	}
	return o
}

// unshareTime has the children of a process be in a time namespace with offsets.
func unshareTime(t *stub.Task, o *procfs.TimeOffsets) error {
	if _, err := t.Call(unix.SYS_UNSHARE, unix.CLONE_NEWTIME); err != nil {
		return fmt.Errorf("make a time namespace: %w", err)
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/timens_offsets", t.PID()), []byte(o.Text()), 0); err != nil {
		return fmt.Errorf("set the offsets of the container's clocks (needs CAP_SYS_TIME): %w", err)
	}
	return nil
}
