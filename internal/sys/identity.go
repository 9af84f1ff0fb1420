package sys

import "golang.org/x/sys/unix"

// ThreadIdentity sets the effective user and group of the calling thread alone
// (setresuid(2) of the kernel; x/sys has the one that changes all threads). The
// goroutine MUST be locked to its thread.
func ThreadIdentity(uid, gid uint32) error {
	const same = ^uintptr(0)
	set := func(nr uintptr, id uint32) error {
		_, _, e := unix.RawSyscall(nr, same, uintptr(id), same)
		if e != 0 {
			return e
		}
		return nil
	}
	// The user last when rights are given up, first when they are taken back.
	if uid == 0 {
		if err := set(unix.SYS_SETRESUID, uid); err != nil {
			return err
		}
		return set(unix.SYS_SETRESGID, gid)
	}
	if err := set(unix.SYS_SETRESGID, gid); err != nil {
		return err
	}
	return set(unix.SYS_SETRESUID, uid)
}
