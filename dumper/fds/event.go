package fds

import (
	"fmt"
	"strconv"
	"strings"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// lookEventfd reads the counter from fdinfo (eventfd_show_fdinfo, fs/eventfd.c).
// Kernels before 6.5 don't say whether it is a semaphore: it is taken for none.
func lookEventfd(w *walk, f *file) error {
	text, ok := f.info.Get("eventfd-count")
	if !ok {
		return fmt.Errorf("the kernel does not tell the eventfd's counter")
	}
	count, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return err
	}
	semaphore, known := f.info.Get("eventfd-semaphore")
	if !known {
		w.Log.Warn("this kernel does not tell whether an eventfd is a semaphore; taken for none", "process", f.NSPID, "descriptor", f.number)
	}
	f.Kind = &format.OpenFile_Eventfd{Eventfd: &format.Eventfd{Count: count, Semaphore: semaphore == "1"}}
	return nil
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
