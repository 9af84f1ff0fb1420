package ia32

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// int80 makes a system call of 32-bit programs. Addresses have to be below 4 GiB.
// Where the kernel has no such calls, the instruction is a fault.
func int80(nr, a, b, c uintptr) uintptr

var errNone = errors.New("this kernel runs no 32-bit programs (CONFIG_IA32_EMULATION, or ia32_emulation=on on its command line)")

// Usable is nil if this kernel runs 32-bit programs. No file tells: it is tried
// with one that ends at once.
var Usable = sync.OnceValue(func() error {
	fd, err := unix.MemfdCreate("lxc-32-bit", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, program()); err != nil {
		return err
	}
	// What is open for writing can't be executed.
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Dup3(int(f.Fd()), fd, unix.O_CLOEXEC); err != nil {
		return err
	}
	if err := exec.Command(fmt.Sprintf("/proc/self/fd/%d", fd)).Run(); err != nil {
		return errors.Join(errNone, err)
	}
	return nil
})

// program is a static 32-bit ELF program that calls exit(0).
func program() []byte {
	const headerSize, segmentSize, at = 52, 32, 0x10000
	le := binary.LittleEndian
	code := []byte{
		0x31, 0xdb, // xor ebx, ebx
		0x31, 0xc0, // xor eax, eax
		0x40,       // inc eax (exit)
		0xcd, 0x80, // int 0x80
	}
	b := make([]byte, headerSize+segmentSize)
	size := uint32(len(b) + len(code))
	copy(b, "\x7fELF\x01\x01\x01")          // 32 bit, little endian, version 1
	le.PutUint16(b[16:], 2)                 // ET_EXEC
	le.PutUint16(b[18:], 3)                 // EM_386
	le.PutUint32(b[20:], 1)                 // version
	le.PutUint32(b[24:], at+uint32(len(b))) // entry
	le.PutUint32(b[28:], headerSize)        // program headers
	le.PutUint16(b[40:], headerSize)        //
	le.PutUint16(b[42:], segmentSize)       //
	le.PutUint16(b[44:], 1)                 // one of them
	p := b[headerSize:]
	le.PutUint32(p[0:], 1) // PT_LOAD
	le.PutUint32(p[8:], at)
	le.PutUint32(p[12:], at)
	le.PutUint32(p[16:], size)
	le.PutUint32(p[20:], size)
	le.PutUint32(p[24:], 5) // readable, executable
	le.PutUint32(p[28:], 0x1000)
	return append(b, code...)
}

// RobustList is get_robust_list(2) of 32-bit programs: the address of the head,
// 0 if the task has not set one by a 32-bit call.
func RobustList(tid int) (uint32, error) {
	if err := Usable(); err != nil {
		return 0, err
	}
	low, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_32BIT)
	if err != nil {
		return 0, fmt.Errorf("memory below 2 GiB: %w", err)
	}
	defer func() { _ = unix.Munmap(low) }()
	const getRobustList = 312
	at := uintptr(unsafe.Pointer(&low[0]))
	if r := int64(int80(getRobustList, uintptr(tid), at, at+8)); r < 0 {
		return 0, unix.Errno(-r)
	}
	return binary.LittleEndian.Uint32(low), nil
}
