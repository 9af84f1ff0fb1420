package fds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/elsewhere"
)

// makePidfd has the container's first process open it, in whose pid namespace
// the number means something.
func makePidfd(_ context.Context, r *Restart, f *file) (int, error) {
	m := f.GetPidfd()
	if m.Pid == 0 {
		return endedPidfd(r, f)
	}
	flags := uint64(f.Flags & unix.O_NONBLOCK)
	if m.Thread {
		flags |= unix.O_EXCL // PIDFD_THREAD
	}
	number, err := r.root.Call(unix.SYS_PIDFD_OPEN, uint64(m.Pid), flags)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open of process %d: %w", m.Pid, err)
	}
	defer r.root.Call(unix.SYS_CLOSE, number)
	return r.root.Take(int(number))
}

// endedPidfd makes a pidfd of a process that has ended, by having one end, in
// the container's pid namespace (a pidfd of another one is good for nothing
// there). It is traced, so that it stops before it runs anything.
func endedPidfd(r *Restart, f *file) (fd int, err error) {
	fd = -1
	pid := 0
	err = elsewhere.Run(func() error {
		ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/pid", r.root.PID()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(ns)
		if err := unix.Setns(ns, unix.CLONE_NEWPID); err != nil {
			return err
		}
		p, err := os.StartProcess("/proc/self/exe", []string{"lxc-restart"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{PidFD: &fd, Ptrace: true}})
		if err != nil {
			return err
		}
		pid = p.Pid
		return errors.Join(p.Release(), unix.Kill(pid, unix.SIGKILL), awaitEnd(pid))
	})
	if err == nil && fd < 0 {
		err = errors.New("the kernel gives no pidfd of a new process, Linux 5.4 does")
	}
	if err == nil {
		err = setFlags(fd, f.Flags)
	}
	if err != nil {
		closeFD(&fd)
		return -1, fmt.Errorf("make a process that has ended: %w", err)
	}
	return fd, nil
}

// awaitEnd takes the status of a child of ours that ends, and its stops before.
func awaitEnd(pid int) error {
	for {
		var status unix.WaitStatus
		switch _, err := unix.Wait4(pid, &status, 0, nil); {
		case err == unix.EINTR:
		case err != nil:
			return err
		case status.Exited() || status.Signaled():
			return nil
		}
	}
}
