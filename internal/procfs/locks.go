package procfs

import (
	"fmt"
	"strconv"
	"strings"
)

// Lock is a line "lock:" of /proc/PID/fdinfo/FD, or a line of /proc/locks
// (proc_locks(5); lock_get_status, fs/locks.c).
type Lock struct {
	Kind  string // "POSIX", "OFDLCK", "FLOCK", "LEASE", "DELEG" …
	State string // "ADVISORY"; of a lease "ACTIVE" or "BREAKING"
	Type  string // "READ", "WRITE", "UNLCK"
	PID   int    // who took it, as the reader's /proc numbers it; -1 for OFDLCK
	Start int64  // first byte
	End   int64  // last byte, -1: to the end of the file
}

// ParseLock parses "1: POSIX  ADVISORY  WRITE 359 00:13:11691 10 14".
func ParseLock(line string) (*Lock, error) {
	bad := fmt.Errorf("a line of a lock is not as proc_locks(5) has it: %q", line)
	f := strings.Fields(line)
	if len(f) != 8 {
		return nil, bad
	}
	l := &Lock{Kind: f[1], State: f[2], Type: f[3], End: -1}
	var err error
	if l.PID, err = strconv.Atoi(f[4]); err != nil {
		return nil, bad
	}
	if l.Start, err = strconv.ParseInt(f[6], 10, 64); err != nil {
		return nil, bad
	}
	if f[7] != "EOF" {
		if l.End, err = strconv.ParseInt(f[7], 10, 64); err != nil || l.End < l.Start {
			return nil, bad
		}
	}
	return l, nil
}
