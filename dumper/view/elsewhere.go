package view

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Elsewhere runs f on an OS thread of its own that ends with it: f may enter
// namespaces (setns(2)), and nobody else ever runs in them.
func Elsewhere(f func() error) error {
	result := make(chan error, 1)
	go elsewhere(f, result)
	return <-result
}

func elsewhere(f func() error, result chan error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The process's first thread can't end alone, and what it enters would
		// show in /proc/self. Keep it busy while another one does it.
		defer runtime.UnlockOSThread()
		other := make(chan error, 1)
		go elsewhere(f, other)
		result <- <-other
		return
	}
	// No UnlockOSThread: the thread ends with the goroutine.
	result <- f()
}
