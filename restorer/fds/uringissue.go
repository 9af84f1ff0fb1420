package fds

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// lend gives a process descriptors of open files for a while: their numbers by
// the open files', and what takes them back.
func (r *Restart) lend(p place.Process, ids []uint32) (numbers map[uint32]int, done func(), err error) {
	numbers = map[uint32]int{}
	var sent []uint32
	var ours []int
	var borrowed []tracee.Call
	done = func() { _ = p.Run(borrowed) }
	for _, id := range ids {
		if _, have := numbers[id]; have {
			continue
		}
		f := r.byID[id]
		switch {
		case f == nil || f.fd < 0:
			return nil, nil, fmt.Errorf("open file %d was not made", id)
		case f.ring != nil:
			number, isBorrowed, err := f.ring.give(p)
			if err != nil {
				return nil, nil, err
			}
			numbers[id] = number
			if isBorrowed {
				borrowed = append(borrowed, call(unix.SYS_CLOSE, uint64(number)))
			}
		default:
			numbers[id] = -1
			sent, ours = append(sent, id), append(ours, f.fd)
		}
	}
	if len(ours) == 0 {
		return numbers, done, nil
	}
	there, err := p.Send(ours)
	if err != nil {
		return nil, nil, err
	}
	for i, id := range sent {
		numbers[id] = there[i]
		borrowed = append(borrowed, call(unix.SYS_CLOSE, uint64(there[i])))
	}
	return numbers, done, nil
}

// issueTold issues the polls again that have told how their files are: they tell
// it once more. These completions come before the program's own, and are
// overwritten by them.
func (u *uring) issueTold() error {
	for rest := u.requests(true); len(rest) > 0; {
		n := u.group(rest)
		l, err := u.prepareGroup(rest[:n])
		if err != nil {
			return err
		}
		if err := u.launch(l); err != nil {
			return err
		}
		// What is complete shows when their thread has done the kernel's work for it.
		t, err := u.r.thread(rest[0].Task)
		if err != nil {
			return err
		}
		if _, err := t.Call(unix.SYS_GETPID); err != nil {
			return err
		}
		if _, err := u.owner.Call(unix.SYS_IO_URING_ENTER, uint64(u.fd), 0, 0, sys.UringEnterGetEvents); err != nil {
			return err
		}
		u.setWord(u.params.CQ.Head, u.word(u.params.CQ.Tail))
		rest = rest[n:]
	}
	return nil
}

func (u *uring) requests(told bool) []*format.IoUringRequest {
	var all []*format.IoUringRequest
	for _, q := range u.Requests {
		if q.Told == told {
			all = append(all, q)
		}
	}
	return all
}

// launch are requests of one thread, with what it was lent for them.
type launch struct {
	requests []*format.IoUringRequest
	task     place.Process
	numbers  map[uint32]int
	done     func()
}

// prepare lends every thread what its requests need. They are issued when
// nothing else is left to do (Arm): a TCP connection that is still being built
// gives them errors.
func (u *uring) prepare() error {
	for rest := u.requests(false); len(rest) > 0; {
		n := u.group(rest)
		l, err := u.prepareGroup(rest[:n])
		if err != nil {
			return err
		}
		u.launches = append(u.launches, l)
		rest = rest[n:]
	}
	return nil
}

func (u *uring) prepareGroup(requests []*format.IoUringRequest) (*launch, error) {
	t, err := u.r.thread(requests[0].Task)
	if err != nil {
		return nil, err
	}
	ids := []uint32{u.file.Id}
	for _, q := range requests {
		if q.OpenFile != 0 {
			ids = append(ids, q.OpenFile)
		}
	}
	numbers, done, err := u.r.lend(t, ids)
	return &launch{requests, t, numbers, done}, err
}

// launchRings issues the requests that were under way again, each by its thread.
// Where the kernel needs memory for them, it takes a copy at once.
func (r *Restart) launchRings() error {
	for _, f := range r.files {
		if f.ring == nil || f.ring.filled == nil {
			continue
		}
		u := f.ring.filled
		for _, l := range u.launches {
			if err := u.launch(l); err != nil {
				return fmt.Errorf("%s: issue requests of thread %d again: %w", r.name(f), l.requests[0].Task, err)
			}
		}
		u.putSubmissions()
		if err := f.ring.close(); err != nil {
			return fmt.Errorf("%s: %w", r.name(f), err)
		}
	}
	return nil
}

// group is how many of the next requests go together: of one thread, and not
// more than there is room for. Links are not cut.
func (u *uring) group(rest []*format.IoUringRequest) int {
	const most = format.MaxIoUringChain // so many timespecs the scratch memory holds
	n := 0
	for n < len(rest) && rest[n].Task == rest[0].Task {
		chain := 1
		for n+chain < len(rest) && rest[n+chain-1].Sqe[1]&(sys.SQELink|sys.SQEHardLink) != 0 {
			chain++
		}
		if n > 0 && n+chain > min(most, int(u.SqEntries)) {
			break
		}
		n += chain
	}
	return n
}

func (u *uring) launch(l *launch) error {
	defer l.done()
	scratch, _ := l.task.Scratch()
	var times []byte
	head := u.word(u.params.SQ.Head)
	for i, q := range l.requests {
		slot := (head + uint32(i)) & (u.SqEntries - 1)
		e := u.sqes[slot*u.sqeSize():][:u.sqeSize()]
		clear(e)
		copy(e, q.Sqe)
		if q.OpenFile != 0 {
			binary.NativeEndian.PutUint32(e[4:], uint32(l.numbers[q.OpenFile]))
		}
		if format.IoUringTimed(q) {
			binary.NativeEndian.PutUint64(e[16:], scratch+uint64(len(times)))
			times = words(times, uint64(q.TimeNs/1e9), uint64(q.TimeNs%1e9))
		}
		if u.ArrayOffset != 0 {
			u.setWord(u.ArrayOffset+4*slot, slot)
		}
	}
	if len(times) > 0 {
		if err := l.task.Write(scratch, times); err != nil {
			return err
		}
	}
	u.setWord(u.params.SQ.Tail, head+uint32(len(l.requests)))
	got, err := l.task.Call(unix.SYS_IO_URING_ENTER, uint64(l.numbers[u.file.Id]), uint64(len(l.requests)))
	if err == nil && int(got) != len(l.requests) {
		err = fmt.Errorf("the kernel refuses %s, the %dth of %d", sys.UringOp(l.requests[max(got, 1)-1].Sqe[0]), got, len(l.requests))
	}
	return err
}
