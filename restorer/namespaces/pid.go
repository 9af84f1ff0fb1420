package namespaces

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/restorer/place"
)

// LastPID has the container's pid namespace go on with the numbers above last;
// 0 if it is the host's. The file is opened here, since the container may have
// /proc/sys read-only, and written there: the kernel takes the namespace of
// whoever writes (pid_ns_ctl_handler, kernel/pid_namespace.c).
func LastPID(root place.Process, last uint32) error {
	if last == 0 {
		return nil
	}
	return SetLastPID(root, last)
}

// SetLastPID does the same for the pid namespace of a process, also for 0.
func SetLastPID(root place.Process, last uint32) error {
	fd, err := unix.Open("/proc/sys/kernel/ns_last_pid", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil // a kernel without CONFIG_CHECKPOINT_RESTORE: numbers begin anew
	}
	if err != nil {
		return fmt.Errorf("open /proc/sys/kernel/ns_last_pid: %w", err)
	}
	defer unix.Close(fd)
	sent, err := root.Send([]int{fd})
	if err != nil {
		return err
	}
	text := strconv.Itoa(int(last))
	addr, _ := root.Scratch()
	if err := root.Write(addr, []byte(text)); err != nil {
		return err
	}
	if _, err := root.Call(unix.SYS_WRITE, uint64(sent[0]), addr, uint64(len(text))); err != nil {
		return fmt.Errorf("have the container's next process number follow %d (needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the container): %w", last, err)
	}
	_, err = root.Call(unix.SYS_CLOSE, uint64(sent[0]))
	return err
}
