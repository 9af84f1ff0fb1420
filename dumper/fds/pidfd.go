package fds

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// lookPidfd reads from fdinfo which process it refers to (pidfd_show_fdinfo,
// fs/pidfs.c): -1 if that is gone, 0 if it has no number in our namespace.
func lookPidfd(w *walk, f *file) error {
	text, ok := f.info.Get("Pid")
	if !ok {
		return errors.New("the kernel does not tell whom the pidfd refers to")
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	// PIDFD_THREAD is O_EXCL (Linux 6.9).
	p := &format.Pidfd{Thread: f.Flags&unix.O_EXCL != 0}
	f.Kind = &format.OpenFile_Pidfd{Pidfd: p}
	if pid == -1 {
		return nil
	}
	if p.Pid = w.Tasks[pid]; p.Pid == 0 {
		return f.refuse("pidfd", fmt.Sprintf("it refers to process %d of the host, which is not in the container", pid), "have the program close it, or end it, before the checkpoint")
	}
	return nil
}
