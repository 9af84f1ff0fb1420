// Package elsewhere runs code in a thread of its own, which may enter namespaces or
// another root directory.
package elsewhere

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Run runs f on an OS thread of its own that ends with it: f may enter
// namespaces (setns(2)), and nobody else ever runs in them.
func Run(f func() error) error {
	result := make(chan error, 1)
	go run(f, result)
	return <-result
}

func run(f func() error, result chan error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The process's first thread can't end alone, and what it enters would
		// show in /proc/self. Keep it busy while another one does it.
		defer runtime.UnlockOSThread()
		other := make(chan error, 1)
		go run(f, other)
		result <- <-other
		return
	}
	// No UnlockOSThread: the thread ends with the goroutine.
	result <- f()
}
