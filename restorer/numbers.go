package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/namespaces"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/restorer/stub"
)

// helper makes a process for a while, as namespaces.Forker.
func (r *restart) helper() (place.Process, func() error, error) {
	t, err := r.root.Fork(0, int(unix.SIGCHLD), 0)
	if err != nil {
		return nil, nil, err
	}
	status, err := procfs.ReadStatus(t.PID())
	if err != nil {
		return nil, nil, err
	}
	return t, func() error { return t.End(r.root, status.NSpid[len(status.NSpid)-1]) }, nil
}

// forkBy has a process make another one, or a thread, with the number that it is
// to have. maker are the namespaces that the process is in: in a user namespace of
// a program's own it may not choose numbers. Then the first process has the kernel
// go on from there (nobody else makes processes), which gives the same.
func (r *restart) forkBy(by *stub.Task, maker []uint32, flags uint64, exit, tid int) (*stub.Task, error) {
	s := r.plan.Skeleton
	if s.UserNamespaceOf(maker) == s.UserNamespaceOf(r.plan.Root.Namespaces) {
		return by.Fork(flags, exit, tid)
	}
	for range 100 { // in the host's pid namespace others may be faster
		if err := namespaces.LastPID(r.root, uint32(tid-1)); err != nil {
			return nil, err
		}
		t, err := by.Fork(flags, exit, 0)
		if err != nil {
			return nil, err
		}
		status, err := procfs.ReadStatus(t.PID())
		if err != nil {
			return nil, err
		}
		number := status.NSpid[len(status.NSpid)-1]
		if number == tid {
			return t, nil
		}
		if flags&(unix.CLONE_THREAD|unix.CLONE_PARENT) != 0 {
			return nil, fmt.Errorf("make task %d: the kernel has given it the number %d, and in its user namespace it may not choose", tid, number)
		}
		if err := t.End(by, number); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("make task %d: another process has that number, and in its user namespace it may not choose", tid)
}
