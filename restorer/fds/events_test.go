package fds

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

func eventfd(id uint32, count uint64) *format.OpenFile {
	return &format.OpenFile{Id: id, Flags: unix.O_RDWR | unix.O_NONBLOCK, Kind: &format.OpenFile_Eventfd{Eventfd: &format.Eventfd{Count: count}}}
}

func epoll(id uint32, targets ...*format.EpollTarget) *format.OpenFile {
	return &format.OpenFile{Id: id, Flags: unix.O_RDWR, Kind: &format.OpenFile_Epoll{Epoll: &format.Epoll{Targets: targets}}}
}

func TestEventfd(t *testing.T) {
	h := newHelper(t)
	s := &format.Skeleton{OpenFiles: []*format.OpenFile{eventfd(1, 0), eventfd(2, math.MaxUint64-1), eventfd(3, 3)}}
	s.OpenFiles[2].GetEventfd().Semaphore = true
	s.OpenFiles[2].Flags = unix.O_RDWR
	s.Files = []*format.Files{at(s.OpenFiles...)}
	build(t, s, h)
	for i, f := range s.OpenFiles {
		if got := h.call(unix.SYS_FCNTL, uint64(10+i), unix.F_GETFL); got != uint64(f.Flags) {
			t.Errorf("descriptor %d: flags %#o, want %#o", 10+i, got, f.Flags)
		}
	}
	read := func(n uint64) (uint64, error) {
		s, err := h.read(n, 8)
		if err != nil {
			return 0, err
		}
		return binary.NativeEndian.Uint64([]byte(s)), nil
	}
	if _, err := read(10); err != unix.EAGAIN {
		t.Errorf("an eventfd of 0 says %v", err)
	}
	if v, err := read(11); v != math.MaxUint64-1 || err != nil {
		t.Errorf("count %d, %v", v, err)
	}
	for range 3 {
		if v, err := read(12); v != 1 || err != nil {
			t.Errorf("semaphore: %d, %v", v, err)
		}
	}
	if c := h.info(12, "eventfd-count"); !strings.HasSuffix(c, "0") {
		t.Errorf("semaphore: %s are left", c)
	}
	_, err := tryBuild(t, &format.Skeleton{OpenFiles: []*format.OpenFile{eventfd(1, math.MaxUint64)}}, h)
	wantError(t, err, "cannot be set")
}

// wait returns the events of an epoll of the helper, as "data:events".
func (h *helper) wait(number uint64) (events []string) {
	h.t.Helper()
	n := h.call(unix.SYS_EPOLL_PWAIT, number, h.scratch, 100, 0, 0, 8)
	b := make([]byte, int(n)*epollEventSize)
	must(h.t, h.Read(h.scratch, b))
	for ; len(b) > 0; b = b[epollEventSize:] {
		events = append(events, fmt.Sprintf("%x:%x", binary.NativeEndian.Uint64(b[epollEventData:]), binary.NativeEndian.Uint32(b)))
	}
	slices.Sort(events)
	return events
}

// targets are what fdinfo says of an epoll: "number events data".
func (h *helper) targets(number int) (list []string) {
	h.t.Helper()
	for line := range strings.Lines(readFile(h.t, fmt.Sprintf("/proc/%d/fdinfo/%d", h.pid, number))) {
		if f := strings.Fields(line); len(f) > 5 && f[0] == "tfd:" {
			list = append(list, f[1]+" "+f[3]+" "+f[5])
		}
	}
	slices.Sort(list)
	return list
}

func TestEpoll(t *testing.T) {
	h, other := newHelper(t), newHelper(t)
	const always = unix.EPOLLERR | unix.EPOLLHUP // in fdinfo of every target
	s := &format.Skeleton{
		Pipes: []*format.Pipe{{Id: 31, Capacity: 4096}, {Id: 32, Capacity: 4096}},
		OpenFiles: []*format.OpenFile{
			eventfd(1, 1), eventfd(2, 0), eventfd(3, 5),
			{Id: 4, Flags: unix.O_RDONLY, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 31}}}, // without a writer: hung up
			{Id: 5, Flags: unix.O_RDONLY, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 32}}},
			{Id: 6, Flags: unix.O_WRONLY, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 32}}},
			epoll(7,
				&format.EpollTarget{Number: 10, OpenFile: 1, Events: unix.EPOLLIN | always, Data: 0xa1_00000000, Files: 1000},
				&format.EpollTarget{Number: 11, OpenFile: 2, Events: unix.EPOLLIN | unix.EPOLLET | always, Data: 0xa2, Files: 1000},
				// One-shot targets that have fired: the first ready, the second hung up.
				&format.EpollTarget{Number: 12, OpenFile: 3, Events: unix.EPOLLONESHOT, Data: 0xa3, Files: 1000},
				&format.EpollTarget{Number: 13, OpenFile: 4, Events: unix.EPOLLONESHOT | unix.EPOLLET, Data: 0xa4, Files: 1000},
				// Added under a number that another file has now, and under one that is free.
				&format.EpollTarget{Number: 14, OpenFile: 1, Events: unix.EPOLLIN | always, Data: 0xa5, Files: 1000},
				&format.EpollTarget{Number: 99, OpenFile: 1, Events: unix.EPOLLIN | always, Data: 0xa6},
				// In a table that does not have the epoll.
				&format.EpollTarget{Number: 12, OpenFile: 6, Events: unix.EPOLLOUT | always, Data: 0xb1, Files: 1001}),
			epoll(8, &format.EpollTarget{Number: 16, OpenFile: 7, Events: unix.EPOLLIN | always, Data: 0xc1, Files: 1000}),
		},
	}
	f := s.OpenFiles
	s.Files = []*format.Files{at(f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]), at(f[4], f[4], f[5])}
	must(t, build(t, s, h, other).Close())

	want := []string{"10 19 a100000000", "11 80000019 a2", "12 40000000 a3", "12 1c b1", "13 c0000000 a4", "14 19 a5", "99 19 a6"}
	slices.Sort(want)
	if got := h.targets(16); !slices.Equal(got, want) {
		t.Errorf("targets %q, want %q", got, want)
	}
	if n := len(h.open()); n != 8 {
		t.Errorf("%d descriptors are open after wiring: %v", n, h.open())
	}
	if !strings.HasPrefix(h.link(14), "pipe:") || len(other.open()) != 3 {
		t.Errorf("lent descriptors were not taken back: 14 is %s, the other process has %v", h.link(14), other.open())
	}
	if got := h.wait(17); !slices.Equal(got, []string{"c1:1"}) {
		t.Errorf("the epoll of the epoll says %q", got)
	}
	if got := h.wait(16); !slices.Equal(got, []string{"a100000000:1", "a5:1", "a6:1", "b1:4"}) {
		t.Errorf("events %q", got)
	}
	// An edge comes once.
	h.call(unix.SYS_WRITE, 11, h.give(binary.NativeEndian.AppendUint64(nil, 7)), 8)
	if got := h.wait(16); !slices.Contains(got, "a2:1") {
		t.Errorf("no edge: %q", got)
	}
	if got := h.wait(16); slices.Contains(got, "a2:1") {
		t.Errorf("the edge again: %q", got)
	}
}

func TestEpollOfManyTargets(t *testing.T) {
	h := newHelper(t)
	s := &format.Skeleton{}
	var targets []*format.EpollTarget
	for i := range uint32(4500) { // more than scratch memory has room for on arm64
		s.OpenFiles = append(s.OpenFiles, eventfd(i+1, uint64(i)%2))
		targets = append(targets, &format.EpollTarget{Number: 10 + i, OpenFile: i + 1, Events: unix.EPOLLIN, Data: uint64(i), Files: 1000})
	}
	s.OpenFiles = append(s.OpenFiles, epoll(9000, targets...))
	s.Files = []*format.Files{at(s.OpenFiles...)}
	build(t, s, h)
	if n := len(h.targets(4510)); n != 4500 {
		t.Errorf("%d targets", n)
	}
	if n := h.call(unix.SYS_EPOLL_PWAIT, 4510, h.scratch, 4000, 0, 0, 8); n != 2250 {
		t.Errorf("%d events", n)
	}
}
