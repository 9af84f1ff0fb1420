package main

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// touch has the kernel find that much memory, and gives it back.
func touch(bytes string) error {
	n, err := strconv.Atoi(bytes)
	if err != nil {
		return err
	}
	b, err := memory(n, unix.MAP_POPULATE)
	if err != nil {
		return err
	}
	return unix.Munmap(b)
}

// memory is private memory, without the garbage collector.
func memory(size, flags int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|flags)
}
