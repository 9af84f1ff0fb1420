package place

import (
	"errors"

	"golang.org/x/sys/unix"
)

// WriteFile has a process write a file below a directory that it has open: as
// itself, where the kernel asks who writes.
func WriteFile(p Process, dir int, name, text string) error {
	addr, _ := p.Scratch()
	if err := p.Write(addr, []byte(name+"\x00"+text)); err != nil {
		return err
	}
	fd, err := p.Call(unix.SYS_OPENAT, uint64(dir), addr, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = p.Call(unix.SYS_WRITE, fd, addr+uint64(len(name)+1), uint64(len(text)))
	_, closing := p.Call(unix.SYS_CLOSE, fd)
	return errors.Join(err, closing)
}
