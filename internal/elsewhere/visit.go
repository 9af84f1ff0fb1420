package elsewhere

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Visit has a process of ours enter a namespace that no thread of a program
// with several can enter (setns(2): user namespaces), and calls f with its
// number. The process does nothing, and ends with the visit.
func Visit(ns, flag int, f func(pid int) error) error { return visit(0, ns, flag, f) }

// visit makes such a process with flags of clone(2). ns -1: it enters none.
func visit(clone, ns, flag int, f func(pid int) error) error {
	var entered, leave [2]int
	if err := unix.Pipe2(entered[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(entered[0])
	if err := unix.Pipe2(leave[:], unix.O_CLOEXEC); err != nil {
		unix.Close(entered[1])
		return err
	}
	runtime.LockOSThread()
	pid, errno := visitor(clone, ns, flag, entered, leave)
	runtime.UnlockOSThread()
	unix.Close(entered[1])
	unix.Close(leave[0])
	if errno != 0 {
		unix.Close(leave[1])
		return fmt.Errorf("clone: %w", errno)
	}
	defer func() {
		unix.Close(leave[1])
		var s unix.WaitStatus
		for {
			if _, err := unix.Wait4(pid, &s, unix.WALL, nil); !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}()
	var answer [4]byte
	if n, err := unix.Read(entered[0], answer[:]); err != nil || n != len(answer) {
		return errors.New("a process that was to enter a namespace has ended")
	}
	if e := *(*int32)(unsafe.Pointer(&answer)); e != 0 {
		return fmt.Errorf("setns: %w", unix.Errno(e))
	}
	return f(pid)
}

// visitor makes the process. In it, this function runs on, alone, in a copy of
// a program whose other threads are not there: so it calls nothing but the
// kernel, until it ends.
//
//go:norace
//go:nosplit
func visitor(clone, ns, flag int, entered, leave [2]int) (int, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(clone)|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	failed := unix.Errno(0)
	if ns >= 0 {
		_, _, failed = unix.RawSyscall(unix.SYS_SETNS, uintptr(ns), uintptr(flag), 0)
	}
	answer := int32(failed)
	// Nobody else may keep it alive.
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(leave[1]), 0, 0)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(entered[1]), uintptr(unsafe.Pointer(&answer)), 4)
	unix.RawSyscall(unix.SYS_READ, uintptr(leave[0]), uintptr(unsafe.Pointer(&answer)), 4)
	for {
		unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	}
}
