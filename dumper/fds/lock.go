package fds

import (
	"errors"
	"fmt"
	"io/fs"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// locks notes the locks that a descriptor shows (/proc/PID/fdinfo, since Linux
// 4.1): those of the open file, and the record locks that the table holds by it.
// A descriptor of another table shows the same open file with other record
// locks (show_fd_locks, fs/locks.c). Who was waiting for a lock does not wait
// while its task is stopped, and asks again.
func (w *walk) locks(files *format.Files, f *file, number int, info *procfs.FDInfo, first, firstHere bool) error {
	for _, line := range info.More {
		if line.Key != "lock" {
			continue
		}
		l, err := procfs.ParseLock(line.Value)
		if err != nil {
			return err
		}
		lock := &format.FileLock{Kind: lockKind(l), Exclusive: l.Type == "WRITE", Start: l.Start}
		if l.End >= 0 {
			lock.Length = l.End - l.Start + 1
		}
		switch lock.Kind {
		case format.LockKind_LOCK_RECORD, format.LockKind_LOCK_LEASE:
			lock.Number = uint32(number)
		}
		switch {
		case lock.Kind == format.LockKind_LOCK_RECORD && !firstHere, lock.Kind != format.LockKind_LOCK_RECORD && !first:
			continue // seen
		case lock.Kind == format.LockKind_LOCK_UNSPECIFIED:
			f.badLock = line.Value
			continue
		}
		if lock.Pid, err = w.numberInside(l.PID); err != nil {
			return err
		}
		if lock.Kind == format.LockKind_LOCK_RECORD {
			files.Locks = append(files.Locks, lock)
		} else {
			f.Locks = append(f.Locks, lock)
		}
	}
	return nil
}

// lockKind is LOCK_UNSPECIFIED for what can't be taken: a lease that is being
// broken, for the time that its holder has left runs in the kernel alone.
func lockKind(l *procfs.Lock) format.LockKind {
	if l.Type != "READ" && l.Type != "WRITE" {
		return format.LockKind_LOCK_UNSPECIFIED
	}
	switch {
	case l.Kind == "POSIX":
		return format.LockKind_LOCK_RECORD
	case l.Kind == "OFDLCK":
		return format.LockKind_LOCK_DESCRIPTION
	case l.Kind == "FLOCK":
		return format.LockKind_LOCK_FLOCK
	case l.Kind == "LEASE" && l.State == "ACTIVE":
		return format.LockKind_LOCK_LEASE
	}
	return format.LockKind_LOCK_UNSPECIFIED
}

// numberInside is the container's number of a process; 0 if it has ended.
func (w *walk) numberInside(pid int) (uint32, error) {
	if pid <= 0 {
		return 0, nil
	}
	if number, ok := w.Tasks[pid]; ok {
		return number, nil
	}
	s, err := procfs.ReadStatus(pid)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(s.NSpid) == 0:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("the process that took a lock: %w", err)
	}
	return uint32(s.NSpid[len(s.NSpid)-1]), nil
}

// checkLocks refuses what locks could not note.
func (f *file) checkLocks() error {
	if f.badLock == "" {
		return nil
	}
	return f.refuseNow("lock on "+f.link, "it is a lease that is being broken, or of a kind that this version does not know ("+f.badLock+")",
		"checkpoint again when nobody waits to open the file")
}
