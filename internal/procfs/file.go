package procfs

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// ReadFile reads a file of /proc with as few system calls as that takes: open,
// read, close. os.ReadFile makes ten, since it asks how long the file is (which
// no file of /proc tells) and whether epoll could wait for it (which it could
// not); of a thousand threads a checkpoint reads ten thousand files.
func ReadFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	for err == unix.EINTR {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var space [4096]byte // on the stack: most files are shorter
	b := space[:0]
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, 1)
		}
		n, err := unix.Read(fd, b[len(b):cap(b)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return slices.Clone(b), nil
		default:
			b = b[:len(b)+n]
		}
	}
}
