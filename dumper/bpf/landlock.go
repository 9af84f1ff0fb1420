package bpf

import (
	"encoding/binary"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// blobSize is how much of a task's credentials of security modules is read: a
// part for each of them, in an order and at places that the kernel tells nobody.
const blobSize = 256

// restricted is a thread of ours that has restricted itself by Landlock
// (landlock(7)), if only by a rule that does nothing to it. What differs in its
// credentials from those of our other threads is where the kernel keeps the
// domain of a task.
type restricted struct {
	tid int // 0: this kernel has no Landlock, so nobody has a domain
	end chan struct{}
}

func startRestricted() *restricted {
	r := &restricted{end: make(chan struct{})}
	ready := make(chan int)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if restrict() {
			ready <- unix.Gettid()
			<-r.end
			return
		}
		ready <- 0
	}()
	r.tid = <-ready
	return r
}

func (r *restricted) stop() { close(r.end) }

// restrict restricts the calling thread. It would then run no program that no
// rule allows, and runs none.
func restrict() bool {
	attribute := struct{ handledAccessFs uint64 }{unix.LANDLOCK_ACCESS_FS_EXECUTE}
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attribute)), unsafe.Sizeof(attribute), 0)
	if e != 0 {
		return false
	}
	defer unix.Close(int(fd))
	_, _, e = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0)
	return e == 0
}

// domainAt finds where in a blob the pointer to a domain lies, by the records of
// our own threads; -1 if that can't be told.
func (r *restricted) domainAt(ours [][]byte) int {
	var with, without []byte
	for _, record := range ours {
		switch int(binary.NativeEndian.Uint32(record[atPID:])) {
		case r.tid:
			with = record[atBlob:][:blobSize]
		case os.Getpid():
			without = record[atBlob:][:blobSize]
		}
	}
	if with == nil || without == nil {
		return -1
	}
	for at := 0; at < blobSize; at += 8 {
		const kernel = 1 << 63 // addresses of the kernel are negative, numbers are not
		if binary.NativeEndian.Uint64(without[at:]) == 0 && binary.NativeEndian.Uint64(with[at:])&kernel != 0 {
			return at
		}
	}
	return -1
}
