// Package vdso finds the code that the running kernel maps into every process:
// the vdso, whose functions programs call by address.
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

// Digest is XXH3-64 of Code; 0 if there is none.
func Digest() (uint64, error) {
	code, err := Code()
	if err != nil || code == nil {
		return 0, err
	}
	return xxh3.Hash(code), nil
}
