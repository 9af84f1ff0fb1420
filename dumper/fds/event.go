package fds

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// lookEventfd reads the counter from fdinfo (eventfd_show_fdinfo, fs/eventfd.c).
func lookEventfd(w *walk, f *file) error {
	text, ok := f.info.Get("eventfd-count")
	if !ok {
		return fmt.Errorf("the kernel does not tell the eventfd's counter")
	}
	count, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return err
	}
	e := &format.Eventfd{Count: count}
	if word, known := f.info.Get("eventfd-semaphore"); known {
		e.Semaphore = word == "1"
	} else if e.Semaphore, err = tryEventfd(f, count); err != nil {
		return fmt.Errorf("find out whether it is a semaphore, which kernels before 6.5 don't tell: %w", err)
	}
	f.Kind = &format.OpenFile_Eventfd{Eventfd: e}
	return nil
}

// tryEventfd finds out whether an eventfd is a semaphore by reading it: that
// takes one from a semaphore, and all from another. What was taken is put back
// before anyone can notice, since all who could look are stopped.
func tryEventfd(f *file, count uint64) (semaphore bool, err error) {
	if count == math.MaxUint64 {
		return false, nil // only the kernel itself counts so far, and none can write it
	}
	fd, err := f.copy()
	if err != nil {
		return false, err
	}
	b := make([]byte, 8)
	write := func(n uint64) error {
		binary.NativeEndian.PutUint64(b, n)
		_, err := unix.Write(fd, b)
		return err
	}
	read := func() (uint64, error) {
		_, err := unix.Read(fd, b)
		return binary.NativeEndian.Uint64(b), err
	}
	if count >= 2 {
		taken, err := read()
		if err != nil {
			return false, err
		}
		return taken == 1, write(taken)
	}
	// So few that both kinds would give the same: two more, for a moment.
	if err := write(2); err != nil {
		return false, err
	}
	taken, err := read()
	switch {
	case err != nil:
		return false, err
	case taken == 1:
		_, err = read()
		return true, err
	case count > 0:
		err = write(count)
	}
	return false, err
}

// lookEpoll reads the targets from fdinfo (ep_show_fdinfo, fs/eventpoll.c) and
// finds out which open file each is: the number alone does not tell, since it
// may be of any table that has had the epoll, and may be something else by now.
func lookEpoll(w *walk, f *file) error {
	e := &format.Epoll{}
	f.Kind = &format.OpenFile_Epoll{Epoll: e}
	seen := map[uint32]uint32{}
	for _, line := range f.info.More {
		if line.Key != "tfd" {
			continue
		}
		t, err := parseTarget(line.Value)
		if err != nil {
			return err
		}
		nth := seen[t.Number]
		seen[t.Number]++
		if !w.findTarget(f, t, nth) {
			return f.refuse("epoll", fmt.Sprintf("it watches what was descriptor %d, which is closed there and open elsewhere", t.Number), "have the program remove it from the epoll before closing it")
		}
		e.Targets = append(e.Targets, t)
	}
	return nil
}

// parseTarget parses "5 events: 80000019 data: 5 pos:0 ino:5 sdev:b".
func parseTarget(text string) (*format.EpollTarget, error) {
	bad := fmt.Errorf("the kernel tells an epoll's target in a form that is not known: %q", text)
	fields := strings.Fields(text)
	if len(fields) < 5 || fields[1] != "events:" || fields[3] != "data:" {
		return nil, bad
	}
	number, err1 := strconv.ParseUint(fields[0], 10, 32)
	events, err2 := strconv.ParseUint(fields[2], 16, 32)
	data, err3 := strconv.ParseUint(fields[4], 16, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return nil, bad
	}
	return &format.EpollTarget{Number: uint32(number), Events: uint32(events), Data: data}, nil
}

// findTarget asks kcmp(2), for each table that has the epoll, whether the
// target is what has its number there.
func (w *walk) findTarget(f *file, t *format.EpollTarget, nth uint32) bool {
	slot := &sys.KcmpEpollSlot{Efd: uint32(f.number), Tfd: t.Number, Toff: nth}
	for _, h := range f.holders {
		target := w.byNumber[place{h.ID, t.Number}]
		if target == nil {
			continue
		}
		if r, err := sys.KcmpEpoll(h.PID, f.PID, uintptr(t.Number), slot); err == nil && r == 0 {
			t.OpenFile, t.Files = target.Id, h.ID
			return true
		}
	}
	return false
}
