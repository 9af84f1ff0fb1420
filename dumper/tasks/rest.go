package tasks

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/tracee"
)

// rest finds what remains of a call with a limit to its time which only the
// kernel can go on with, or of which it keeps nothing. number is the call's, if it is clear now which one it
// is. block is what eBPF tells, nil if nobody does: then it is known only of a
// sleep, and only if the program wants to know it too.
func (k *looking) rest(ctx context.Context, t *tracee.Thread, block *view.RestartBlock) (rest *format.Rest, number uint32, err error) {
	if l, ok := k.o.Limits[t.TID()]; ok {
		return &format.Rest{Kind: format.RestKind_REST_ARGUMENT, RemainingNs: l.Left(k.o.At.Monotonic), Place: l.Place}, 0, nil
	}
	if in, err := t.InBlock(ctx); err != nil || !in {
		return nil, 0, err
	}
	regs, err := t.InFlight()
	if err != nil {
		return nil, 0, err
	}
	c, err := interrupted(t, &regs, block)
	if err != nil {
		return nil, 0, err
	}
	switch c.kind {
	case format.RestKind_REST_SLEEP:
		rest, err = k.restOfSleep(t, c, block)
	case format.RestKind_REST_POLL:
		if block != nil {
			rest = &format.Rest{RemainingNs: left(block.Poll.Expires, k.o.At.Monotonic)}
		}
	case format.RestKind_REST_FUTEX:
		if block != nil {
			rest = &format.Rest{RemainingNs: left(block.Futex.Expires, k.o.At.Monotonic)}
		}
	}
	if rest != nil {
		rest.Kind = c.kind
	}
	return rest, c.number, err
}

// restOfSleep is rest for nanosleep and clock_nanosleep.
func (k *looking) restOfSleep(t *tracee.Thread, c call, block *view.RestartBlock) (*format.Rest, error) {
	rest := &format.Rest{Clock: c.clock, Remainder: c.remainder}
	if block != nil {
		base := c.clock
		if base == unix.CLOCK_REALTIME { // a relative time is one of CLOCK_MONOTONIC (__hrtimer_setup, kernel/time/hrtimer.c)
			base = unix.CLOCK_MONOTONIC
		}
		if now, ok := k.o.At.Of(base); ok {
			rest.RemainingNs = left(block.Sleep.Expires, now)
			return rest, nil
		}
	}
	// The kernel wrote it there when our stop interrupted the sleep
	// (nanosleep_copyout, kernel/time/posix-stubs.c and hrtimer.c).
	if c.remainder == 0 {
		return nil, nil
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.TID()))
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	var b [16]byte
	size := len(b)
	if c.short {
		size /= 2
	}
	if _, err := mem.ReadAt(b[:size], int64(c.remainder)); err != nil {
		return nil, fmt.Errorf("read what remains of its sleep at %#x: %w", c.remainder, err)
	}
	s, ns := binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
	if c.short {
		s, ns = s&math.MaxUint32, s>>32
	}
	if s > 1<<33 || ns >= 1e9 {
		return nil, nil // another thread has written something else there
	}
	rest.RemainingNs = max(s*1e9+ns, 1)
	return rest, nil
}

// left is the time from now to when something expires, in nanoseconds; at least
// one: a limit of 0 means something else to some calls.
func left(expires uint64, now int64) uint64 {
	if expires <= uint64(now) {
		return 1
	}
	return expires - uint64(now)
}

// call is which one was interrupted.
type call struct {
	number    uint32 // 0: not known
	kind      format.RestKind
	clock     int32  // of a sleep
	remainder uint64 // of a sleep
	short     bool   // its times have 32 bits (struct old_timespec32)
}

// interrupted tells which call was interrupted. If the kernel was restarting it
// already, its number is gone; then what else is known decides.
func interrupted(t *tracee.Thread, r *tracee.Registers, block *view.RestartBlock) (call, error) {
	a := r.Arguments()
	nr := tracee.CallNumber(r)
	c := call{number: uint32(nr)}
	switch {
	case r.Narrow():
		c.number = t.NumberInFlight(r)
		if c.number == 0 && block != nil {
			n, err := restarted(t, a, block)
			if err != nil {
				return call{}, err
			}
			c.number = tracee.NarrowNumber(n, block.Sleep.Short)
		}
		nr, c.short = r.Native(int64(c.number))
	case nr == unix.SYS_RESTART_SYSCALL:
		var err error
		if nr, err = restarted(t, a, block); err != nil {
			return call{}, err
		}
		c.number = uint32(nr)
	}
	switch {
	case nr == unix.SYS_NANOSLEEP:
		c.kind, c.clock, c.remainder = format.RestKind_REST_SLEEP, unix.CLOCK_MONOTONIC, a[1]
	case nr == unix.SYS_CLOCK_NANOSLEEP && a[1]&unix.TIMER_ABSTIME == 0:
		c.kind, c.clock, c.remainder = format.RestKind_REST_SLEEP, int32(a[0]), a[3]
	case nr == sysPoll && int32(a[2]) >= 0:
		c.kind = format.RestKind_REST_POLL
	case nr == unix.SYS_FUTEX && a[1]&futexCommand == futexWait:
		c.kind = format.RestKind_REST_FUTEX
	case nr == unix.SYS_RESTART_SYSCALL:
		c.number = 0
	}
	return c, nil
}

// The operation of futex(2), and the bits that say which (include/uapi/linux/futex.h).
const (
	futexCommand    = 0x7f
	futexWait       = 0
	futexWaitBitset = 9
)

// restarted finds the number of a call that the kernel was restarting, without
// the code before it: of what the block holds, the part that agrees with the
// arguments, which still are in the registers, is the valid one. Without a block
// the arguments have to be such as only one of the calls takes.
func restarted(t *tracee.Thread, a [6]uint64, block *view.RestartBlock) (int64, error) {
	op := a[1] & futexCommand
	wait := op == futexWait || op == futexWaitBitset
	clock := a[1] == 0 && int64(int32(a[0])) == int64(a[0]) && int32(a[0]) < 1<<12 // and no flags
	if block == nil {
		mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.TID()))
		if err != nil {
			return 0, err
		}
		defer mem.Close()
		switch {
		case clock && isTimespec(mem, a[2]):
			return unix.SYS_CLOCK_NANOSLEEP, nil
		case wait && holds(mem, a[0], uint32(a[2])) && isTimespec(mem, a[3]):
			return unix.SYS_FUTEX, nil
		}
		return unix.SYS_RESTART_SYSCALL, nil
	}
	switch {
	// One without a limit looks like a sleep or a futex but for its -1, which is no
	// address.
	case sysPoll >= 0 && block.Poll.Descriptors == a[0] && block.Poll.Count == uint32(a[1]) && (block.Poll.Limited || uint32(a[2]) == math.MaxUint32):
		return sysPoll, nil
	case wait && block.Futex.Address == a[0] && block.Futex.Value == uint32(a[2]):
		return unix.SYS_FUTEX, nil
	case clock && block.Sleep.Remainder == a[3]:
		return unix.SYS_CLOCK_NANOSLEEP, nil
	case block.Sleep.Remainder == a[1]:
		return unix.SYS_NANOSLEEP, nil
	}
	return unix.SYS_RESTART_SYSCALL, nil
}

// isTimespec says whether a struct timespec lies at an address.
func isTimespec(mem *os.File, at uint64) bool {
	var b [16]byte
	if _, err := mem.ReadAt(b[:], int64(at)); err != nil {
		return false
	}
	return binary.LittleEndian.Uint64(b[:]) < 1<<33 && binary.LittleEndian.Uint64(b[8:]) < 1e9
}

func holds(mem *os.File, at uint64, value uint32) bool {
	var b [4]byte
	_, err := mem.ReadAt(b[:], int64(at))
	return err == nil && at%4 == 0 && binary.LittleEndian.Uint32(b[:]) == value
}
