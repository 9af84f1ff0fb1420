// Package vdso is about the code that a kernel maps into every process, the
// vdso, whose functions programs call by address: it finds that of the running
// kernel, and makes another's lead into it.
package vdso

import (
	"fmt"
	"os"

	"github.com/zeebo/xxh3"

	"lxc-checkpoint/internal/procfs"
)

// Code returns the bytes of our own vdso, which is everybody's on this kernel
// (64-bit programs').
func Code() ([]byte, error) {
	maps, err := procfs.ReadMaps(os.Getpid())
	if err != nil {
		return nil, err
	}
	for _, v := range maps {
		if v.Path != "[vdso]" {
			continue
		}
		f, err := os.Open("/proc/self/mem")
		if err != nil {
			return nil, err
		}
		defer f.Close()
		code := make([]byte, v.End-v.Start)
		if _, err := f.ReadAt(code, int64(v.Start)); err != nil {
			return nil, fmt.Errorf("read the vdso: %w", err)
		}
		return code, nil
	}
	return nil, nil // a kernel without one (vdso=0)
}

// Narrow says whether it is the vdso of 32-bit programs.
func Narrow(code []byte) bool {
	const class, class32 = 4, 1
	return len(code) > class && code[class] == class32
}

// Digest is XXH3-64 of a vdso's code; 0 if there is none.
func Digest(code []byte) uint64 {
	if len(code) == 0 {
		return 0
	}
	return xxh3.Hash(code)
}
