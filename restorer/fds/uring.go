package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// makeUring makes an empty ring in the thread that it belongs to. What is in it
// comes later (Rings), when all that its requests need is there.
func makeUring(_ context.Context, r *Restart, f *file) (int, error) {
	u := f.GetIoUring()
	p := paramsOf(u)
	owner, err := r.thread(u.Task)
	if err != nil {
		return -1, err
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(p)), sys.IoUringParamsSize)
	addr, _ := owner.Scratch()
	if err := owner.Write(addr, b); err != nil {
		return -1, err
	}
	there, err := owner.Call(unix.SYS_IO_URING_SETUP, uint64(u.SqEntries), addr)
	if err != nil {
		return -1, setupError(u, err)
	}
	if err := owner.Read(addr, b); err != nil {
		return -1, err
	}
	f.ring = &madeRing{IoUringParams: p, owner: owner}
	if err := f.ring.move(int(there), r.highest+1); err != nil {
		return -1, err
	}
	if err := fits(u, p); err != nil {
		return -1, err
	}
	fd, err := owner.Take(f.ring.number)
	if err != nil {
		return -1, err
	}
	return withFlags(fd, f.Flags)
}

func paramsOf(u *format.IoUring) *sys.IoUringParams {
	return &sys.IoUringParams{Flags: u.Flags | sys.UringCQSize, CQEntries: u.CqEntries}
}

func setupError(u *format.IoUring, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("io_uring is forbidden here (sysctl kernel.io_uring_disabled): %w", err)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("this kernel has no io_uring like it (flags %#x); restart it on the kernel that it was on, or a newer one: %w", u.Flags, err)
	}
	return fmt.Errorf("io_uring_setup: %w", err)
}

// fits says whether a ring that the kernel has made is one that a program can
// take for its old one.
func fits(u *format.IoUring, p *sys.IoUringParams) error {
	if p.CQ.CQEs != u.CqesOffset || u.ArrayOffset != p.SQ.Array || p.SQEntries != u.SqEntries || p.CQEntries != u.CqEntries {
		return errors.New("this kernel lays a ring out in another way, and the program knows the old one: restart it on the kernel that it was on")
	}
	return nil
}

// TryRing makes a ring like one of the image, for a moment, and says why that
// can't be.
func TryRing(u *format.IoUring) error {
	p := paramsOf(u)
	fd, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(u.SqEntries), uintptr(unsafe.Pointer(p)), 0)
	if e != 0 {
		return setupError(u, e)
	}
	unix.Close(int(fd))
	return fits(u, p)
}

func (r *Restart) thread(tid uint32) (place.Process, error) {
	if r.Task == nil || tid == 0 {
		return r.root, nil
	}
	t := r.Task(tid)
	if t == nil {
		return nil, fmt.Errorf("thread %d, which it belongs to, was not made", tid)
	}
	return t, nil
}

// Rings fills the rings of io_uring: its counters, what is registered with it, and
// what was in it. All memory and all files must be what they were. The requests
// that were under way are issued again by Arm.
func (r *Restart) Rings(ctx context.Context) error {
	for _, f := range r.files {
		if f.GetIoUring() == nil {
			continue
		}
		if err := r.fillRing(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", r.name(f), err)
		}
	}
	return r.mapRings()
}

// uring is a ring that is being filled.
type uring struct {
	*format.IoUring
	r      *Restart
	file   *file
	params *sys.IoUringParams
	owner  place.Process
	fd     int // in the owner's table
	// Our own mappings of it.
	ring, sqes []byte
	// Where the owner has the ring mapped for a while.
	mapped uint64
	// What is still to be issued.
	launches []*launch
}

func (r *Restart) fillRing(ctx context.Context, f *file) (err error) {
	u := &uring{IoUring: f.GetIoUring(), r: r, file: f, params: f.ring.IoUringParams, owner: f.ring.owner, fd: f.ring.number}
	f.ring.filled = u
	if err := u.open(f.fd); err != nil {
		return err
	}
	for _, step := range []func() error{
		u.issueTold,
		func() error { return u.count(ctx) },
		u.takeBuffers,
		u.register,
		u.putCompletions,
		u.prepare,
		u.unmap,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// open maps the ring, for us and for its owner.
func (u *uring) open(fd int) (err error) {
	if u.ring, err = unix.Mmap(fd, sys.UringOffSQ, len(u.Ring), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map it: %w", err)
	}
	if u.sqes, err = unix.Mmap(fd, sys.UringOffSQEs, len(u.Sqes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map its submission queue: %w", err)
	}
	u.mapped, err = u.owner.Call(unix.SYS_MMAP, 0, uint64(len(u.Ring)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, uint64(u.fd), sys.UringOffSQ)
	if err != nil {
		return fmt.Errorf("map it where it belongs: %w", err)
	}
	return nil
}

// unmap undoes the owner's mapping, before others are made where they were.
func (u *uring) unmap() error {
	at := u.mapped
	u.mapped = 0
	_, err := u.owner.Call(unix.SYS_MUNMAP, at, uint64(len(u.Ring)))
	return err
}

// close gives up the ring's descriptor where it was made, and our mappings.
func (m *madeRing) close() error {
	m.forget()
	_, err := m.owner.Call(unix.SYS_CLOSE, uint64(m.number))
	return err
}

// forget gives up what the restart itself has of the ring.
func (m *madeRing) forget() {
	if m == nil || m.filled == nil {
		return
	}
	for _, b := range [][]byte{m.filled.ring, m.filled.sqes} {
		if b != nil {
			_ = unix.Munmap(b)
		}
	}
	m.filled = nil
}

// Words of the ring, by their offsets.
func (u *uring) word(at uint32) uint32       { return binary.NativeEndian.Uint32(u.ring[at:]) }
func (u *uring) setWord(at uint32, v uint32) { binary.NativeEndian.PutUint32(u.ring[at:], v) }

func call(nr uint64, args ...uint64) tracee.Call {
	c := tracee.Call{Nr: nr}
	copy(c.Args[:], args)
	return c
}

// putCompletions writes the completion queue and what else the ring begins with,
// but for what the kernel writes itself from now on.
func (u *uring) putCompletions() error {
	kernels := map[uint32]bool{u.params.SQ.Head: true, u.params.SQ.Tail: true, u.params.CQ.Tail: true, u.params.SQ.Flags: true}
	end := u.params.CQ.CQEs
	for at := uint32(0); at+4 <= end; at += 4 {
		if !kernels[at] {
			u.setWord(at, binary.NativeEndian.Uint32(u.Ring[at:]))
		}
	}
	size := uint32(sys.UringCQESize)
	if u.Flags&sys.UringCQE32 != 0 {
		size *= 2
	}
	copy(u.ring[end:end+size*u.CqEntries], u.Ring[end:])
	return nil
}

// putSubmissions writes the submission queue: it is the program's own.
func (u *uring) putSubmissions() {
	copy(u.sqes, u.Sqes)
	if u.ArrayOffset != 0 {
		copy(u.ring[u.ArrayOffset:], u.Ring[u.ArrayOffset:u.ArrayOffset+4*u.SqEntries])
	}
	u.setWord(u.params.SQ.Tail, binary.NativeEndian.Uint32(u.Ring[u.params.SQ.Tail:]))
}
