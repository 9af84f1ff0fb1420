package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

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

// checkMemory: the container, three copies of its memory, and the caches of
// what is written.
func (b *bench) checkMemory() error {
	need := 6 * int64(b.mebibyte) << 20
	have, err := available()
	if err == nil && have < need {
		err = fmt.Errorf("%d MiB of memory are available, and it needs %d: measure with less (-mib)", have>>20, need>>20)
	}
	return err
}

func available() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo does not tell how much memory is available")
}

// memory is private memory, without the garbage collector.
func memory(size, flags int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|flags)
}
