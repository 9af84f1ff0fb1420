// Package place says where a call of a restart has to run: in a process that
// is being built (a stub), seen through a small interface.
package place

import "lxc-checkpoint/tracee"

// Process is a process, or one thread of it, that is being built: stopped, with
// all signals blocked, running only what it is told to.
type Process interface {
	// PID is the task's number in the host's pid namespace.
	PID() int
	// Call runs one system call in it. A failure is a unix.Errno.
	Call(nr uint64, args ...uint64) (uint64, error)
	// Run runs many calls in one stop. Each call's Result is the caller's to check.
	Run(calls []tracee.Call) error
	// Scratch is memory of its own for arguments, free between two calls:
	// at least 64 KiB.
	Scratch() (addr uint64, size int)
	// Read and Write reach its memory, whatever the protection.
	Read(addr uint64, b []byte) error
	Write(addr uint64, b []byte) error
	// Send gives it descriptors of ours and returns their numbers there, in
	// order, all above the numbers that any table of the image uses.
	// They are close-on-exec there.
	Send(fds []int) ([]int, error)
	// Take gets one of its descriptors into our process, close-on-exec.
	Take(fd int) (int, error)
	// Reserved are the numbers in its table that belong to the restart itself:
	// not to be closed or overwritten. They go when the restart ends.
	Reserved() []int
	// Avoid makes sure that no reserved number is one of these.
	Avoid(numbers []int) error
}
