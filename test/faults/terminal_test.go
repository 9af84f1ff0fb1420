package faults

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal. What is written to it is read until its master
// is closed: then whoever sat before it has gone.
func openTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	number := 0
	unlocked := control(master, func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0) })
	numbered := control(master, func(fd int) (err error) {
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	if unlocked == nil && numbered == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	} else {
		err = fmt.Errorf("/dev/ptmx: %w, %w", unlocked, numbered)
	}
	if err != nil {
		master.Close()
		return nil, nil, err
	}
	go func() { _, _ = io.Copy(io.Discard, master) }()
	return master, slave, nil
}

// control does something to a file's descriptor and leaves the file one whose
// Close ends a Read.
func control(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}
