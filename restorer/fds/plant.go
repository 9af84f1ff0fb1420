package fds

import (
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// Plant makes t the descriptor table of p: every number leads to its open file
// and is close-on-exec as it was, and no other is open but p's reserved ones.
// It is called once per table, in one process that has it, after Make.
//
// p's RLIMIT_NOFILE must still be above every number of the table: the limits
// of the image are set later, since a process may have lowered its limit below
// descriptors that it had.
func (r *Restart) Plant(p place.Process, t *format.Files) error {
	numbers := make([]int, 0, len(t.Descriptors))
	var ours []int            // each open file once
	index := map[uint32]int{} // of an open file in ours
	for _, d := range t.Descriptors {
		if d.Number > math.MaxInt32 {
			return fmt.Errorf("the image has a descriptor %d, which cannot be", d.Number)
		}
		f := r.byID[d.OpenFile]
		if f == nil || f.fd < 0 {
			return fmt.Errorf("descriptor %d: open file %d was not made", d.Number, d.OpenFile)
		}
		numbers = append(numbers, int(d.Number))
		if _, ok := index[d.OpenFile]; !ok && f.ring == nil {
			index[d.OpenFile] = len(ours)
			ours = append(ours, f.fd)
		}
	}
	if err := p.Avoid(numbers); err != nil {
		return fmt.Errorf("keep the descriptors of the restart away from those of process %d: %w", p.PID(), err)
	}
	var there []int
	if len(ours) > 0 {
		var err error
		if there, err = p.Send(ours); err != nil {
			return fmt.Errorf("send %d open files into process %d: %w", len(ours), p.PID(), err)
		}
		if len(there) != len(ours) {
			return fmt.Errorf("sent %d open files into process %d and %d arrived", len(ours), p.PID(), len(there))
		}
	}
	keep, err := r.ringsThere(p, t, func(id uint32, number int) {
		index[id] = len(there)
		there = append(there, number)
	})
	if err != nil {
		return err
	}
	calls := make([]tracee.Call, 0, 2*len(numbers)+4)
	for _, d := range t.Descriptors {
		var flags uint64
		if d.CloseOnExec {
			flags = unix.O_CLOEXEC
		}
		calls = append(calls, tracee.Call{Nr: unix.SYS_DUP3, Args: [6]uint64{uint64(there[index[d.OpenFile]]), uint64(d.Number), flags}})
	}
	calls = append(calls, closeAllBut(slices.Concat(numbers, keep, p.Reserved()))...)
	if err := p.Run(calls); err != nil {
		return fmt.Errorf("set up the descriptors of process %d: %w", p.PID(), err)
	}
	for i := range calls {
		err := calls[i].Err()
		switch {
		case err == nil:
		case i >= len(numbers):
			return fmt.Errorf("close the other descriptors of process %d (close_range, Linux 5.9): %w", p.PID(), err)
		case err == unix.EBADF:
			return fmt.Errorf("descriptor %d cannot be had: RLIMIT_NOFILE of the container's processes is not above it: raise it where the container is started (ulimit -n, lxc.prlimit.nofile): %w", numbers[i], err)
		default:
			return fmt.Errorf("put an open file at descriptor %d of process %d: %w", numbers[i], p.PID(), err)
		}
	}
	return nil
}

// closeAllBut makes the calls that close all descriptors but these.
func closeAllBut(keep []int) []tracee.Call {
	slices.Sort(keep)
	var calls []tracee.Call
	closeRange := func(first, last uint64) {
		if first <= last {
			calls = append(calls, tracee.Call{Nr: unix.SYS_CLOSE_RANGE, Args: [6]uint64{first, last, 0}})
		}
	}
	next := uint64(0)
	for _, k := range slices.Compact(keep) {
		if k > 0 {
			closeRange(next, uint64(k)-1)
		}
		next = uint64(k) + 1
	}
	closeRange(next, math.MaxUint32)
	return calls
}
