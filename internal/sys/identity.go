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

// ThreadFileIdentity sets the file system ids of the calling thread alone, and
// makes all its permitted capabilities effective, some of which the change has
// taken away (capabilities(7)). The goroutine MUST be locked to its thread.
func ThreadFileIdentity(uid, gid uint32) error {
	for _, id := range []struct {
		nr   uintptr
		want uint32
	}{{unix.SYS_SETFSGID, gid}, {unix.SYS_SETFSUID, uid}} {
		unix.RawSyscall(id.nr, uintptr(id.want), 0, 0)
		// It tells no error, but what the id was before.
		if now, _, _ := unix.RawSyscall(id.nr, ^uintptr(0), 0, 0); uint32(now) != id.want {
			return unix.EPERM
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	for i := range data {
		data[i].Effective = data[i].Permitted
	}
	return unix.Capset(&header, &data[0])
}
