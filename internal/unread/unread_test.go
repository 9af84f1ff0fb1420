package unread_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"lxc-checkpoint/internal/unread"
)

// code is a program's memory: bytes in hexadecimal by their address.
type code map[uint64]string

// memory is the same, and a stack.
type memory struct {
	code
	stack   []uint64
	stackAt uint64
}

func (m memory) ReadAt(b []byte, off int64) (int, error) {
	at := uint64(off)
	for base, text := range m.code {
		c, err := hex.DecodeString(text)
		if err != nil {
			return 0, err
		}
		if at-base < uint64(len(c)) {
			if n := copy(b, c[at-base:]); n < len(b) {
				return n, errors.New("nothing behind it")
			}
			return len(b), nil
		}
	}
	var s []byte
	for _, v := range m.stack {
		s = binary.LittleEndian.AppendUint64(s, v)
	}
	if at-m.stackAt < uint64(len(s)) && copy(b, s[at-m.stackAt:]) == len(b) {
		return len(b), nil
	}
	return 0, errors.New("nothing there")
}

const stackAt = 0x7ffc_1234_5000

// with adds code to that of a library.
func (c code) with(at uint64, text string) code {
	all := code{at: text}
	for k, v := range c {
		all[k] = v
	}
	return all
}

// TestAfter looks at the code of libraries, and at what programs have in their own.
func TestAfter(t *testing.T) {
	here := func(text string) code { return code{0x1000: text} }
	for _, c := range []struct {
		name  string
		code  code
		pc    uint64
		r     unread.Register
		stack []uint64
		want  bool
	}{
		{"glibc's epoll_wait, one thread", glibc, 0x437f93, unread.R10, nil, true},
		{"glibc's epoll_wait, several", glibc, 0x437fd6, unread.R10, nil, true},
		{"glibc's epoll_wait keeps something in r8", glibc, 0x437fd6, unread.R8, nil, false},
		{"glibc's sigtimedwait, called from a library unknown", glibc.with(0x500000, "ff1500000000"), 0x409272, unread.RDX, []uint64{0, 0, 0, 0, 0, 0x500006}, false},
		{"glibc's sigtimedwait", glibc.with(0x408ff9, "9090e800020000"), 0x409272, unread.RDX, []uint64{0, 0, 0, 0, 0, 0x409000}, true},
		{"glibc's syscall", glibc.with(0x436ff9, "9090e850fcffff"), 0x436c69, unread.R8, []uint64{0x437000}, true},
		{"glibc's syscall, from another library", glibc.with(0x500ff9, "9090e80001000090").with(0x501100, "f30f1efaf2ff2500000000"), 0x436c69, unread.R8, []uint64{0x501000}, true},
		{"glibc's syscall, by a pointer", glibc.with(0x500ff8, "9090909090ffd090"), 0x436c69, unread.R8, []uint64{0x500fff}, true},
		{"glibc's syscall, called by nobody", glibc, 0x436c69, unread.R8, []uint64{0x500000}, false},
		{"glibc's syscall, called by itself, who knows how", glibc, 0x436c69, unread.R8, nil, false},
		{"glibc's syscall: r10", glibc, 0x436c69, unread.R10, nil, true},
		{"musl's semtimedop", musl, 0x1f771, unread.R10, nil, true},
		{"musl's sigtimedwait", musl, 0x777e8, unread.RDX, []uint64{0x68b91, 0, 0, 0, 0, 0, 0, 0, 0x581a2}, true},
		{"musl's epoll_pwait", musl, 0x777e8, unread.R10, []uint64{0x68b91, 0, 0, 0, 0, 0, 0, 0, 0x209e6}, true},
		{"Go's Syscall6: r10", golang, 0x40b46e, unread.R10, nil, true},
		{"Go's Syscall6 hands rdx on", golang, 0x40b46e, unread.RDX, nil, false},

		{"mov r10, rax", here("4989c2"), 0x1000, unread.R10, nil, true},
		{"mov r10d, eax", here("4189c2"), 0x1000, unread.R10, nil, true},
		{"mov r10w, ax: a part", here("664189c2c3"), 0x1000, unread.R10, nil, false},
		{"mov r10b, al: a part", here("4188c2c3"), 0x1000, unread.R10, nil, false},
		{"mov dh, 1: a part of rdx", here("b60131d2"), 0x1000, unread.RDX, nil, false},
		{"xor r10d, r10d", here("4531d2"), 0x1000, unread.R10, nil, true},
		{"xor r10d, eax", here("4131c2"), 0x1000, unread.R10, nil, false},
		{"mov rax, r10", here("4c89d0c3"), 0x1000, unread.R10, nil, false},
		{"mov [r10], rax", here("498902c3"), 0x1000, unread.R10, nil, false},
		{"mov rax, [rcx+r10*8]", here("4a8b04d1c3"), 0x1000, unread.R10, nil, false},
		{"mov r10, [r10]", here("4d8b12c3"), 0x1000, unread.R10, nil, false},
		{"mov edx, [rdx+4]", here("8b5204"), 0x1000, unread.RDX, nil, false},
		{"lea r10, [rsp+8]", here("4c8d542408"), 0x1000, unread.R10, nil, true},
		{"cmove r10, rax", here("4c0f44d0c3"), 0x1000, unread.R10, nil, false},
		{"push r10", here("4152c3"), 0x1000, unread.R10, nil, false},
		{"pop r10", here("415a"), 0x1000, unread.R10, nil, true},
		{"cqo", here("4899"), 0x1000, unread.RDX, nil, true},
		{"div ecx", here("f7f1"), 0x1000, unread.RDX, nil, false},
		{"mul ecx", here("f7e1"), 0x1000, unread.RDX, nil, true},
		{"test rax, rax; je: both sides", here("4885c0740531d231d2c331d2"), 0x1000, unread.RDX, nil, true},
		{"test rax, rax; je: one side reads it", here("4885c0740331d2c34889d0c3"), 0x1000, unread.RDX, nil, false},
		{"a loop back to the call", here("0f054885c078f9c3"), 0x1002, unread.R10, nil, false},
		{"an endless loop", here("ebfe"), 0x1000, unread.R10, nil, true},
		{"another system call", here("b8270000000f05c3"), 0x1000, unread.R10, nil, false},
		{"a call by a pointer", here("ffd0"), 0x1000, unread.R10, nil, true},
		{"a call by a pointer, with an argument", here("ffd0"), 0x1000, unread.RDX, nil, false},
		{"a call by this pointer", here("41ffd2"), 0x1000, unread.R10, nil, false},
		{"a jump by a pointer", here("ffe0"), 0x1000, unread.R10, nil, false},
		{"a function that keeps it, and a look", here("e803000000" + "4c89d0" + "c3"), 0x1000, unread.R10, nil, false},
		{"a function that writes it", here("e803000000" + "4c89d0" + "4531d2c3"), 0x1000, unread.R10, nil, true},
		{"a function that calls itself", here("e8fbffffff"), 0x1000, unread.R10, nil, false},
		{"a function of another library", here("e803000000" + "4c89d0" + "ff2500000000"), 0x1000, unread.R10, nil, true},
		{"endbr64", here("f30f1efa31d2"), 0x1000, unread.RDX, nil, true},
		{"rdsspq rdx", here("f3480f1eca31d2"), 0x1000, unread.RDX, nil, false},
		{"xchg r10, rax", here("4992c3"), 0x1000, unread.R10, nil, false},
		{"vaddps: not understood", here("c5ec58c9c3"), 0x1000, unread.R10, nil, false},
		{"nothing", here(""), 0x1000, unread.R10, nil, false},
		{"half an instruction", here("49"), 0x1000, unread.R10, nil, false},

		// A function of the program's own that passes its arguments on: its caller may
		// know that it leaves them alone.
		{"own function, and the caller reads it", code{0x2000: "b8800000000f05c3", 0x1000: "e8fb0f00004889d7c3"}, 0x2007, unread.RDX, []uint64{0x1005}, false},
		{"own function, and the caller writes it", code{0x2000: "b8800000000f05c3", 0x1000: "e8fb0f000031d2c3"}, 0x2007, unread.RDX, []uint64{0x1005}, true},
		{"own function that writes it before", code{0x2000: "31d2b8800000000f05c3", 0x1000: "e8fb0f00004889d7c3"}, 0x2009, unread.RDX, []uint64{0x1005}, false},
	} {
		if got := unread.After(memory{c.code, c.stack, stackAt}, c.pc, stackAt, c.r); got != c.want {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
}

// FuzzAfter: whatever a program has in its memory, the look at it ends.
func FuzzAfter(f *testing.F) {
	for _, c := range []code{glibc, musl, golang} {
		for _, text := range c {
			b, _ := hex.DecodeString(text)
			f.Add(b, uint16(0), uint8(10))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16, r uint8) {
		m := memory{code: code{0x1000: hex.EncodeToString(b)}, stack: []uint64{0x1000, 0x1005, uint64(at)}, stackAt: stackAt}
		for _, pc := range []uint64{0x1000, 0x1000 + uint64(at)} {
			unread.After(m, pc, stackAt, unread.Register(r%16))
		}
	})
}
