package tasks

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// Flags of /proc/PID/stat (PF_*, include/linux/sched.h) that prctl(2) sets. No
// call of another task tells them.
const (
	flagMCEProcess  = 0x00000080 // PR_MCE_KILL_SET
	flagNoIO        = 0x00080000 // PR_SET_IO_FLUSHER sets both
	flagThrottle    = 0x00100000
	flagMCEEarly    = 0x08000000
	flagsIOFlusher  = flagNoIO | flagThrottle
	autogroupPrefix = " nice "
)

// flags takes what a task's flags tell of it.
func flags(f *format.Task, flags uint32) {
	switch {
	case flags&flagMCEProcess == 0:
	case flags&flagMCEEarly != 0:
		f.McePolicy = format.McePolicy_MCE_EARLY
	default:
		f.McePolicy = format.McePolicy_MCE_LATE
	}
	f.IoFlusher = flags&flagsIOFlusher == flagsIOFlusher
}

// loginUID reads who the task's user logged in as, for the audit log, plus one;
// 0 where the kernel keeps no such thing.
func loginUID(tid int) (uint64, error) {
	id, err := readInt(fmt.Sprintf("/proc/%d/loginuid", tid), 10)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return uint64(id) + 1, err
}

// autogroup reads the nice value of the process's session as a whole
// (sched(7)); 0 where there are no such groups.
func autogroup(pid int) int32 {
	text, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/autogroup", pid))
	if err != nil {
		return 0
	}
	_, nice, _ := strings.Cut(strings.TrimSpace(string(text)), autogroupPrefix)
	n, _ := strconv.Atoi(nice)
	return int32(n)
}
