package tracee

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/unread"
)

// Shortens says whether CanShorten knows any call here.
const Shortens = true

// timeLimit is where a call has the limit to its time.
type timeLimit struct {
	register unread.Register
	memory   bool // a struct timespec, to which the register points; else milliseconds
}

func limitOf(nr int64) (timeLimit, bool) {
	switch nr {
	case unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT:
		return timeLimit{unread.R10, false}, true
	case unix.SYS_EPOLL_PWAIT2, unix.SYS_SEMTIMEDOP:
		return timeLimit{unread.R10, true}, true
	case unix.SYS_RT_SIGTIMEDWAIT:
		return timeLimit{unread.RDX, true}, true
	case unix.SYS_IO_GETEVENTS, unix.SYS_IO_PGETEVENTS:
		return timeLimit{unread.R8, true}, true
	}
	return timeLimit{}, false
}

func (r *Registers) at(n unread.Register) *uint64 {
	switch n {
	case unread.RDX:
		return &r.Rdx
	case unread.R8:
		return &r.R8
	}
	return &r.R10
}

// Forgets says whether the EventStop that the thread is in has interrupted a call
// with a limit to its time of which nobody writes down what remains, and which one.
func (t *Thread) Forgets() (nr int64, is bool, err error) {
	r, err := t.Registers()
	if err != nil {
		return 0, false, err
	}
	nr, _ = r.Syscall()
	_, is = r.forgets()
	return nr, is, nil
}

func (r *Registers) forgets() (l timeLimit, is bool) {
	nr, _ := r.Syscall()
	if !r.Interrupted() || !r.Wide() {
		return l, false
	}
	if l, is = limitOf(nr); !is {
		return l, false
	}
	if v := *r.at(l.register); l.memory {
		is = v != 0
	} else {
		is = int32(v) > 0
	}
	return l, is
}

// CanShorten says whether such a call can be issued again with what remained, and
// where in the program's memory that is to be put.
func (t *Thread) CanShorten(s Stack) (place uint64, ok bool, err error) {
	r, err := t.Registers()
	if err != nil {
		return 0, false, err
	}
	l, forgets := r.forgets()
	if !forgets {
		return 0, false, nil
	}
	if l.memory {
		if place, ok = s.frame(r.Rsp); !ok {
			return 0, false, nil
		}
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.tid))
	if err != nil {
		return 0, false, err
	}
	defer mem.Close()
	code := make([]byte, syscallSize)
	if _, err := mem.ReadAt(code, int64(r.Rip-syscallSize)); err != nil || !bytes.Equal(code, syscallInstruction) {
		return 0, false, nil // by int 0x80, where the same number is another call
	}
	return place, unread.After(mem, r.Rip, r.Rsp, l.register), nil
}

// Shorten has such a call, which the registers say to issue or to restart, issued
// with what remained of its time. ok is false, and nothing was done, if nr is another
// one, or the memory at place is none of the program's.
func (t *Thread) Shorten(nr int64, remaining uint64, place uint64) (ok bool, err error) {
	l, is := limitOf(nr)
	if !is {
		return false, nil
	}
	r, err := t.Registers()
	if err != nil || !r.Wide() {
		return false, err
	}
	value := min((remaining+uint64(time.Millisecond)-1)/uint64(time.Millisecond), math.MaxInt32)
	if l.memory {
		value = place
		if !t.write(place, timespec(remaining)) {
			return false, nil
		}
	}
	*r.at(l.register) = value
	return true, t.SetRegisters(r)
}

func timespec(ns uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, ns/1e9), ns%1e9)
}

// write writes where the program itself could, unlike /proc/PID/mem.
func (t *Thread) write(at uint64, b []byte) bool {
	here := []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}
	n, err := unix.ProcessVMWritev(t.tid, here, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}, 0)
	return err == nil && n == len(b)
}

// frame is an address where the frame of a signal handler might come to lie at any
// time, so that the program has nothing there: room for a struct timespec. ok is
// false if there is none.
func (s Stack) frame(sp uint64) (at uint64, ok bool) {
	const (
		below = 512 // the frame begins with the FPU's state, which is longer
		room  = 64
	)
	switch off := sp - s.Pointer; {
	case s.Size == 0:
		at = sp - below
	case off >= s.Size: // it is not on it
		if s.Size < below {
			return 0, false
		}
		at = s.Pointer + s.Size - room
	case off < below:
		return 0, false // so far down that a handler would not fit
	default:
		at = sp - below
	}
	return at &^ 15, at < sp || s.Size > 0
}
