package fds

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/dumper/uring"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// ringFile is an open file that is a ring of io_uring.
type ringFile struct {
	*file
	frame uint64 // of its first page
	// Its counters when all was settled; nil: it was not.
	settled *format.IoUring
}

// settleRings has all threads that use a ring do the kernel's work for them that
// waits, before anything else is looked at: what has completed shows then, and
// what was read has been.
func (w *walk) settleRings() error {
	if w.Kernel == nil || w.Enter == nil {
		return nil
	}
	for _, f := range w.files {
		if !isUring(f) {
			continue
		}
		frame, err := w.noteRing(f)
		if err != nil {
			return f.wrap(err)
		}
		r := &ringFile{file: f, frame: frame}
		w.ringFiles = append(w.ringFiles, r)
		env, ctx, err := w.uringEnv(f, frame)
		if err != nil {
			continue // which is told later
		}
		env.Settle = func(t uring.Task) error { return w.enter(f, t) }
		r.settled, _ = uring.Look(env, ctx)
		f.closeCopy()
	}
	return nil
}

// enter has a thread enter the ring by a descriptor that it has.
func (w *walk) enter(f *file, t uring.Task) error {
	for _, h := range f.holders {
		if order, err := sys.Kcmp(h.PID, t.PID, sys.KcmpFiles, 0, 0); err == nil && order == 0 {
			return w.Enter(t.PID, h.number)
		}
	}
	return nil
}

var isUring = anonymous("io_uring")

// lookUring leaves the ring for the end of the look.
func lookUring(w *walk, f *file) error {
	for _, r := range w.ringFiles {
		if r.file == f {
			return nil
		}
	}
	frame, err := w.noteRing(f)
	if err != nil {
		return err
	}
	w.ringFiles = append(w.ringFiles, &ringFile{file: f, frame: frame})
	return nil
}

// lookAtRings reads the rings in the kernel's memory (dumper/uring), and what
// programs see of them through mappings of our own.
func (w *walk) lookAtRings() (refused refusal.List, err error) {
	for _, r := range w.ringFiles {
		err := w.lookAtRing(r)
		r.closeCopy()
		var no *refusal.Refusal
		switch {
		case errors.As(err, &no):
			refused = append(refused, no)
		case err != nil:
			return nil, r.wrap(err)
		}
	}
	return refused, nil
}

func (w *walk) lookAtRing(r *ringFile) error {
	refuse := func(reason, remedy string) error { return r.refuse("io_uring", reason, remedy) }
	const unknown = "run the container on another kernel, or forbid io_uring to the program; many then fall back (kernel.io_uring_disabled)"
	switch {
	case r.flying:
		return refuse("it is in flight", "have the program receive it before the checkpoint")
	case w.Kernel == nil:
		return refuse("only eBPF can tell what is in it, and there is none here", "checkpoint without --no-bpf, on a kernel with CONFIG_DEBUG_INFO_BTF, from the host's first pid namespace")
	}
	env, ctx, err := w.uringEnv(r.file, r.frame)
	if err != nil {
		return refuse(err.Error(), unknown)
	}
	u, err := uring.Look(env, ctx)
	var o *uring.Obstacle
	switch {
	case errors.As(err, &o):
		return refuse(o.Reason, o.Remedy)
	case errors.Is(err, uring.ErrUnknown):
		return refuse(err.Error(), unknown)
	case err != nil:
		return err
	}
	if s := r.settled; s != nil && (s.SqHead != u.SqHead || s.CqTail != u.CqTail) {
		return r.refuseNow("io_uring", "requests completed while it was looked at", "try again")
	}
	r.Kind = &format.OpenFile_IoUring{IoUring: u}
	for _, b := range u.BufferRings {
		if b.Start == 0 {
			if _, err := w.noteMapping(r.file, sys.UringOffBuffers|int64(b.Group)<<sys.UringBufferBits, len(b.Ring)); err != nil {
				return err
			}
		}
	}
	return r.readRing(u)
}

// noteRing notes the pages that mappings of the ring begin with, so that they
// are known for such, and returns the first of them.
func (w *walk) noteRing(f *file) (frame uint64, err error) {
	if frame, err = w.noteMapping(f, sys.UringOffSQ, os.Getpagesize()); err != nil {
		return 0, err
	}
	// Of this part the kernel maps all or nothing.
	mask, _ := f.info.Get("SqMask")
	last, err := strconv.ParseUint(strings.TrimPrefix(mask, "0x"), 16, 16)
	if err != nil {
		return frame, nil // its own size is told elsewhere, if at all
	}
	for size := sys.UringSQESize; size <= 2*sys.UringSQESize; size *= 2 {
		if _, err := w.noteMapping(f, sys.UringOffSQEs, (int(last)+1)*size); err != nil {
			return 0, err
		}
	}
	return frame, nil
}

// noteMapping notes the first page of a part of the ring; 0 if it has no such part.
func (w *walk) noteMapping(f *file, offset int64, size int) (frame uint64, err error) {
	fd, err := f.copy()
	if err != nil {
		return 0, err
	}
	m, err := unix.Mmap(fd, offset, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil { // in the program's own memory, or of another size
		return 0, nil
	}
	defer func() { _ = unix.Munmap(m) }()
	frames, err := sys.PageFrames(os.Getpid(), uint64(uintptr(unsafe.Pointer(&m[0]))), 1)
	if err != nil {
		return 0, err
	}
	w.rings[frames[0]] = f.Id
	return frames[0], nil
}

// readRing copies what the program sees of the ring.
func (f *file) readRing(u *format.IoUring) (err error) {
	ring, sqes := format.IoUringSizes(u)
	if u.Ring, err = f.readMapping(sys.UringOffSQ, ring); err != nil {
		return err
	}
	if u.Sqes, err = f.readMapping(sys.UringOffSQEs, sqes); err != nil {
		return err
	}
	return nil
}

func (f *file) readMapping(offset int64, size int) ([]byte, error) {
	fd, err := f.copy()
	if err != nil {
		return nil, err
	}
	m, err := unix.Mmap(fd, offset, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes of the ring at %#x: %w", size, offset, err)
	}
	defer func() { _ = unix.Munmap(m) }()
	return append([]byte(nil), m...), nil
}

// uringEnv is what the look at a ring needs, and the kernel's address of it.
func (w *walk) uringEnv(f *file, frame uint64) (env uring.Env, ctx uint64, err error) {
	k, err := w.Kernel()
	if err != nil {
		return env, 0, err
	}
	a, err := w.inKernel()
	if err != nil {
		return env, 0, err
	}
	env = uring.Env{
		Kernel: k, Frame: frame,
		File: func(address uint64) (uint32, bool) { id, ok := a.files[address]; return id, ok },
		Event: func(address uint64) (uint32, bool) {
			for file, id := range a.files {
				if private, err := a.private(file); err == nil && private == address {
					return id, true
				}
			}
			return 0, false
		},
		Task: func(address uint64) (uring.Task, bool) { t, ok := a.tasks[address]; return t, ok },
		Find: findFrame, Writable: isWritable, References: kernel.New(k, w.anyTask()).References,
		Memory: func(pid int, address uint64, b []byte) error {
			m, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
			if err != nil {
				return err
			}
			defer m.Close()
			_, err = m.ReadAt(b, int64(address))
			return err
		},
	}
	for address, id := range a.files {
		if id == f.Id {
			ctx, err = a.private(address)
			return env, ctx, err
		}
	}
	return env, 0, errors.New("its descriptor was not found in the kernel")
}

// anyTask is where the kernel has some task of the container.
func (w *walk) anyTask() uint64 {
	for _, f := range w.Facts {
		if f.Address != 0 {
			return f.Address
		}
	}
	return 0
}

// addresses are those of the container's open files and tasks in the kernel.
type addresses struct {
	kernel view.Kernel
	files  map[uint64]uint32
	tasks  map[uint64]uring.Task
}

// inKernel finds the addresses once.
func (w *walk) inKernel() (*addresses, error) {
	if w.addresses != nil {
		return w.addresses, nil
	}
	k, err := w.Kernel()
	if err != nil {
		return nil, err
	}
	w.addresses, err = w.findAddresses(k)
	return w.addresses, err
}

// findAddresses reads the descriptor tables in the kernel.
func (w *walk) findAddresses(k view.Kernel) (*addresses, error) {
	a := &addresses{kernel: k, files: map[uint64]uint32{}, tasks: map[uint64]uring.Task{}}
	for pid, f := range w.Facts {
		a.tasks[f.Address] = uring.Task{TID: w.Tasks[pid], PID: pid}
	}
	tables := map[uint32]int{}
	for _, f := range w.files {
		for _, h := range f.holders {
			tables[h.ID] = h.PID
		}
	}
	fds := map[uint32]uint64{} // of each table, the array of its files
	for id, pid := range tables {
		if w.Facts[pid] == nil {
			continue
		}
		at := w.Facts[pid].Address
		for _, step := range [][2]string{{"task_struct", "files"}, {"files_struct", "fdt"}, {"fdtable", "fd"}} {
			next, err := a.follow(at, step[0], step[1])
			if err != nil {
				return nil, err
			}
			at = next
		}
		fds[id] = at
	}
	for p, f := range w.byNumber {
		if fds[p.table] == 0 {
			continue
		}
		file, err := readPointer(k, fds[p.table]+8*uint64(p.number))
		if err != nil {
			return nil, err
		}
		a.files[file] = f.Id
	}
	return a, nil
}

func (a *addresses) follow(at uint64, structure, member string) (uint64, error) {
	offset, err := a.kernel.Member(structure, member)
	if err != nil {
		return 0, err
	}
	return readPointer(a.kernel, at+uint64(offset))
}

// private is what the kind of a file keeps with it.
func (a *addresses) private(file uint64) (uint64, error) {
	return a.follow(file, "file", "private_data")
}

func readPointer(k view.Kernel, at uint64) (uint64, error) {
	var p uint64
	err := k.Read(at, unsafe.Slice((*byte)(unsafe.Pointer(&p)), 8))
	return p, err
}

// isWritable says whether a process can write to all of a part of its memory.
func isWritable(pid int, start, length uint64) (bool, error) {
	areas, err := procfs.ReadMaps(pid)
	if err != nil {
		return false, err
	}
	at := start
	for _, a := range areas {
		if a.End <= at {
			continue
		}
		if a.Start > at || a.Prot&unix.PROT_WRITE == 0 {
			return false, nil
		}
		if at = a.End; at >= start+length {
			return true, nil
		}
	}
	return false, nil
}

// findFrame finds a page in the memory of a process by the number of its frame.
func findFrame(pid int, frame uint64) (address uint64, found bool, err error) {
	areas, err := procfs.ReadMaps(pid)
	if err != nil {
		return 0, false, err
	}
	const atOnce = 1 << 16
	page := uint64(os.Getpagesize())
	for _, a := range areas {
		for at := a.Start; at < a.End; at += atOnce * page {
			frames, err := sys.PageFrames(pid, at, int(min(atOnce, (a.End-at)/page)))
			if err != nil {
				return 0, false, err
			}
			for i, f := range frames {
				if f == frame && f != 0 {
					return at + uint64(i)*page, true, nil
				}
			}
		}
	}
	return 0, false, nil
}
