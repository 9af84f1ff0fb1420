package fds

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/bpf"
	dumper "lxc-checkpoint/dumper/fds"
	dumperview "lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// TestUringWithoutBPF: where nobody reads the kernel's memory, a ring is refused,
// and the message says what would help.
func TestUringWithoutBPF(t *testing.T) {
	h := newHelper(t)
	addr, _ := h.Scratch()
	must(t, h.Write(addr, make([]byte, sys.IoUringParamsSize)))
	fd, err := h.Call(unix.SYS_IO_URING_SETUP, 4, addr)
	if err != nil {
		t.Skipf("this kernel has no io_uring: %v", err)
	}
	env := dumper.Env{First: h.pid, IDs: &dumperview.IDs{}, Tasks: map[int]uint32{h.pid: 1}}
	_, refused, err := dumper.Look(context.Background(), env, []dumper.Table{{ID: 1000, PID: h.pid, NSPID: 1, Command: "helper"}})
	must(t, err)
	want := fmt.Sprintf("descriptor %d: io_uring: only eBPF can tell what is in it, and there is none here; checkpoint without --no-bpf", fd)
	if !strings.Contains(refused.Error(), want) {
		t.Errorf("the refusal should have %q: %v", want, refused)
	}
}

// TestTryRing: --check tells of a kernel that would make another ring.
func TestTryRing(t *testing.T) {
	h := newHelper(t)
	sample := uringSample(t, h)
	if sample == nil {
		t.Skip("this kernel has no io_uring, no BTF, or an io_uring of a form that is refused")
	}
	u := sample[0].GetIoUring()
	must(t, TryRing(u))
	u.ArrayOffset += 64
	if err := TryRing(u); err == nil || !strings.Contains(err.Error(), "another way") {
		t.Errorf("another layout: %v", err)
	}
	u.Flags = 1 << 31
	if err := TryRing(u); err == nil || !strings.Contains(err.Error(), "no io_uring like it") {
		t.Errorf("other flags: %v", err)
	}
}

// uringSample is a ring that has taken five requests and completed eight, with a
// poll under way, and files registered; none where that can't be looked at.
func uringSample(t *testing.T, h *helper) []*format.OpenFile {
	t.Helper()
	kernel, err := bpf.OpenMemory()
	if err != nil {
		return nil
	}
	defer kernel.Close()
	if _, err := kernel.Member("io_ring_ctx", "nr_req_allocated"); err != nil { // of an older kernel
		return nil
	}
	p := &sys.IoUringParams{}
	fd, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(p)), 0)
	if e != 0 {
		return nil
	}
	unix.Close(int(fd))
	poll := make([]byte, sys.UringSQESize)
	poll[0] = sys.UringOpPollAdd
	binary.NativeEndian.PutUint32(poll[28:], unix.POLLIN|unix.POLLERR|unix.POLLHUP|unix.POLLNVAL|unix.POLLRDHUP) // what the kernel adds is there
	binary.NativeEndian.PutUint64(poll[32:], 1<<50)
	u := &format.IoUring{
		SqEntries: 4, CqEntries: p.CQEntries, SqHead: 5, CqTail: 8, CqesOffset: p.CQ.CQEs, ArrayOffset: p.SQ.Array, Clock: unix.CLOCK_MONOTONIC, Task: 1,
		Requests: []*format.IoUringRequest{{Sqe: poll, Task: 1, OpenFile: 22}},
		Files:    []*format.IoUringFile{{}, {OpenFile: 11, Tag: 3}},
		Event:    &format.IoUringEvent{OpenFile: 11},
	}
	ring, sqes := format.IoUringSizes(u)
	u.Ring, u.Sqes = make([]byte, ring), make([]byte, sqes)
	u.Sqes[100] = 7
	binary.NativeEndian.PutUint32(u.Ring[p.SQ.Tail:], 6)
	binary.NativeEndian.PutUint32(u.Ring[p.CQ.Head:], 7)
	for at, v := range map[uint32]uint32{p.SQ.RingMask: 3, p.SQ.RingEntries: 4, p.CQ.RingMask: p.CQEntries - 1, p.CQ.RingEntries: p.CQEntries} {
		binary.NativeEndian.PutUint32(u.Ring[at:], v)
	}
	u.Ring[p.CQ.CQEs+16*7] = 9 // the completion that nobody has read
	return []*format.OpenFile{{Id: 200, Flags: unix.O_RDWR, Kind: &format.OpenFile_IoUring{IoUring: u}}}
}
