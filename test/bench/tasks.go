package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// tasks measures ptrace(2): stop every task, read its registers, let it go.
func (l *limits) tasks(pids []int) (err error) {
	// The kernel takes requests from the thread that has seized.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.Ptrace, err = timed(func() error {
		tids, err := threads(pids)
		if err != nil {
			return err
		}
		for _, do := range []func(tid int) error{seize, wait, readRegisters, unix.PtraceDetach} {
			for _, tid := range tids {
				if err := do(tid); err != nil {
					return fmt.Errorf("ptrace of task %d: %w", tid, err)
				}
			}
		}
		return nil
	})
	return err
}

func seize(tid int) error {
	if err := unix.PtraceSeize(tid); err != nil {
		return err
	}
	return unix.PtraceInterrupt(tid)
}

func wait(tid int) error {
	var s unix.WaitStatus
	_, err := unix.Wait4(tid, &s, unix.WALL, nil)
	return err
}

func readRegisters(tid int) error {
	const prstatus = 1 // NT_PRSTATUS (include/uapi/linux/elf.h)
	_, err := sys.PtraceGetRegset(tid, prstatus, make([]byte, 512))
	return err
}

// threads lists the tasks of processes.
func threads(pids []int) ([]int, error) {
	var all []int
	for _, pid := range pids {
		names, err := list(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			tid, err := strconv.Atoi(name)
			if err != nil {
				return nil, err
			}
			all = append(all, tid)
		}
	}
	return all, nil
}

// readProc reads, once, the files of /proc that describe processes, mappings,
// tasks and descriptors.
func readProc(pids []int) error {
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d", pid)
		if err := readFiles(dir, "stat", "status", "smaps"); err != nil {
			return err
		}
		tids, err := list(dir + "/task")
		if err != nil {
			return err
		}
		for _, tid := range tids {
			if err := readFiles(filepath.Join(dir, "task", tid), "stat", "status"); err != nil {
				return err
			}
		}
		numbers, err := list(dir + "/fd")
		if err != nil {
			return err
		}
		for _, n := range numbers {
			if _, err := os.Readlink(filepath.Join(dir, "fd", n)); err != nil {
				return err
			}
			if err := readFiles(filepath.Join(dir, "fdinfo"), n); err != nil {
				return err
			}
		}
	}
	return nil
}

func readFiles(dir string, names ...string) error {
	for _, name := range names {
		if err := readAway(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// readAway reads a file with as few system calls as that takes, and keeps
// nothing of it.
func readAway(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var buffer [32 << 10]byte
	for {
		n, err := unix.Read(fd, buffer[:])
		if err != nil {
			return &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return nil
		}
	}
}

func list(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
