package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// makeEpoll makes an epoll without targets: wireEpoll adds them.
func makeEpoll(context.Context, *Restart, *file) (int, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("epoll_create1: %w", err)
	}
	return fd, nil
}

// wireEpoll adds the targets that are known to the epoll by numbers of this
// table. A target's identity is its open file and its number (epoll(7), question
// 0), so each has to be added by a process that has both.
//
// An edge that a program has already been told of is told again.
func wireEpoll(r *Restart, p place.Process, t *table, f *file) error {
	var disabled, others []*format.EpollTarget
	for _, target := range f.GetEpoll().Targets {
		// A target that no table knows by its number is added from any that
		// has the epoll.
		if _, here := t.number[f.Id]; target.Files != t.Id && (target.Files != 0 || !here || f.wired) {
			continue
		}
		if isDisabled(target.Events) {
			disabled = append(disabled, target)
		} else {
			others = append(others, target)
		}
	}
	if _, here := t.number[f.Id]; here {
		f.wired = true
	}
	if err := r.addDisabled(p, t, f, disabled); err != nil {
		return err
	}
	f.populated = f.populated || len(others) > 0
	return r.addTargets(p, t, f, others)
}

// isDisabled says whether a target was added with EPOLLONESHOT and has fired:
// then nothing but flags is left of its events (EP_PRIVATE_BITS,
// fs/eventpoll.c).
func isDisabled(events uint32) bool {
	const flags = unix.EPOLLONESHOT | unix.EPOLLET | unix.EPOLLWAKEUP | unix.EPOLLEXCLUSIVE
	return events&unix.EPOLLONESHOT != 0 && events&^uint32(flags) == 0
}

// addDisabled adds targets that have fired. EPOLL_CTL_ADD and MOD always add
// EPOLLERR and EPOLLHUP to the events, so that only firing can disable a target
// wholly: those that are ready for anything now are made to fire, which is why
// they come first, when an epoll_wait of ours finds nothing else. The rest, and
// those of an epoll that has got targets of another table before, will tell of a
// hang-up or error if there ever is one.
func (r *Restart) addDisabled(p place.Process, t *table, f *file, targets []*format.EpollTarget) error {
	if len(targets) == 0 {
		return nil
	}
	if f.populated {
		return r.addTargets(p, t, f, targets)
	}
	firing := make([]*format.EpollTarget, len(targets))
	for i, target := range targets {
		firing[i] = &format.EpollTarget{Number: target.Number, OpenFile: target.OpenFile, Events: target.Events, Data: target.Data, Files: target.Files}
		if o := r.byID[target.OpenFile]; o != nil && o.fd >= 0 {
			firing[i].Events |= readiness(o.fd)
		}
	}
	if err := r.addTargets(p, t, f, firing); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, min(len(targets), 1024))
	for {
		// A one-shot target is returned once, so this ends.
		n, err := unix.EpollWait(f.fd, events, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("let the disabled targets of the epoll fire: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}

// readiness asks what a file is ready for, in bits of poll(2), which are those
// of epoll.
func readiness(fd int) uint32 {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLPRI | unix.POLLOUT | unix.POLLRDHUP}}
	if retry(func() error { _, err := unix.Poll(p, 0); return err }) != nil {
		return 0
	}
	return uint32(uint16(p[0].Revents))
}

// epollEventSize is the size of struct epoll_event in bytes: it is packed on
// amd64 only.
const (
	epollEventSize = int(unsafe.Sizeof(unix.EpollEvent{}))
	epollEventData = int(unsafe.Offsetof(unix.EpollEvent{}.Fd))
)

// addTargets adds targets in p, which has the table t.
func (r *Restart) addTargets(p place.Process, t *table, f *file, targets []*format.EpollTarget) error {
	if len(targets) == 0 {
		return nil
	}
	number, ok := t.number[f.Id]
	if !ok { // the epoll itself is in other tables only
		sent, err := p.Send([]int{f.fd})
		if err != nil {
			return fmt.Errorf("send the epoll into process %d: %w", p.PID(), err)
		}
		defer p.Call(unix.SYS_CLOSE, uint64(sent[0]))
		number = uint32(sent[0])
	}
	addr, size := p.Scratch()
	for len(targets) > 0 {
		n := min(len(targets), size/epollEventSize)
		if n == 0 {
			return fmt.Errorf("process %d has only %d bytes for arguments", p.PID(), size)
		}
		if err := r.addSome(p, t, number, addr, targets[:n]); err != nil {
			return err
		}
		targets = targets[n:]
	}
	return nil
}

// addSome adds as many targets as have room at addr in p.
func (r *Restart) addSome(p place.Process, t *table, epoll uint32, addr uint64, targets []*format.EpollTarget) error {
	var memory []byte
	var calls []tracee.Call
	adding := map[int]*format.EpollTarget{} // by index in calls
	for _, target := range targets {
		at := addr + uint64(len(memory))
		event := make([]byte, epollEventSize)
		binary.NativeEndian.PutUint32(event, target.Events)
		binary.NativeEndian.PutUint64(event[epollEventData:], target.Data)
		memory = append(memory, event...)
		before, after, err := r.borrow(p, t, target)
		if err != nil {
			return err
		}
		calls = append(calls, before...)
		adding[len(calls)] = target
		calls = append(calls, tracee.Call{Nr: unix.SYS_EPOLL_CTL, Args: [6]uint64{uint64(epoll), unix.EPOLL_CTL_ADD, uint64(target.Number), at}})
		calls = append(calls, after...)
	}
	if err := p.Write(addr, memory); err != nil {
		return fmt.Errorf("write into process %d: %w", p.PID(), err)
	}
	if err := p.Run(calls); err != nil {
		return fmt.Errorf("add targets to the epoll in process %d: %w", p.PID(), err)
	}
	for i := range calls {
		err := calls[i].Err()
		target := adding[i]
		switch {
		case err == nil:
		case target == nil:
			return fmt.Errorf("lend descriptors of process %d to a target of the epoll: %w", p.PID(), err)
		case errors.Is(err, unix.ENOSPC):
			return fmt.Errorf("add descriptor %d: the user has too many epoll targets: raise sysctl fs.epoll.max_user_watches: %w", target.Number, err)
		default:
			return fmt.Errorf("add descriptor %d with events %#x: %w", target.Number, target.Events, err)
		}
	}
	return nil
}

// borrow puts a target's file at its number for as long as it takes to add it,
// if the table has nothing or something else there now: an epoll keeps a target
// under the number it was added with, whatever becomes of that number, as long
// as its file is open anywhere. It returns the calls to be made before and after.
func (r *Restart) borrow(p place.Process, t *table, target *format.EpollTarget) (before, after []tracee.Call, err error) {
	now, taken := t.file[target.Number]
	if taken && now == target.OpenFile {
		return nil, nil, nil
	}
	if !taken {
		if err := p.Avoid([]int{int(target.Number)}); err != nil {
			return nil, nil, fmt.Errorf("keep the descriptors of the restart away from number %d of process %d: %w", target.Number, p.PID(), err)
		}
	}
	fds := []int{}
	for _, id := range []uint32{target.OpenFile, now} {
		if id == now && !taken {
			break
		}
		f := r.byID[id]
		if f == nil || f.fd < 0 {
			return nil, nil, fmt.Errorf("its target, open file %d, was not made", id)
		}
		fds = append(fds, f.fd)
	}
	sent, err := p.Send(fds)
	if err != nil {
		return nil, nil, fmt.Errorf("send a target of the epoll into process %d: %w", p.PID(), err)
	}
	dup := func(from int, flags uint64) tracee.Call {
		return tracee.Call{Nr: unix.SYS_DUP3, Args: [6]uint64{uint64(from), uint64(target.Number), flags}}
	}
	shut := func(number int) tracee.Call {
		return tracee.Call{Nr: unix.SYS_CLOSE, Args: [6]uint64{uint64(number)}}
	}
	before = []tracee.Call{dup(sent[0], unix.O_CLOEXEC)}
	if taken {
		var flags uint64
		for _, d := range t.Descriptors {
			if d.Number == target.Number && d.CloseOnExec {
				flags = unix.O_CLOEXEC
			}
		}
		after = []tracee.Call{dup(sent[1], flags), shut(sent[1])}
	} else {
		after = []tracee.Call{shut(int(target.Number))}
	}
	return before, append(after, shut(sent[0])), nil
}
