package stub

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/trip"
	"lxc-checkpoint/tracee"
)

// Area is the part of every address space that belongs to the restart: a hole
// in all of the image's address spaces. One page of code at its begin, then
// memory for arguments, then room for the vdso until it goes to its place.
type Area struct {
	Start uint64
}

const (
	codeRoom  = 64 << 10 // the code is one page; pages have up to 64 KiB
	dataSize  = 1 << 20
	vdsoRoom  = 512 << 10
	controlUp = 1 // the control descriptor's number above the highest of the image

	// AreaSize is what an Area needs, in bytes.
	AreaSize = codeRoom + dataSize + vdsoRoom
)

func (a Area) data() uint64 { return a.Start + codeRoom }
func (a Area) vdso() uint64 { return a.Start + codeRoom + dataSize }

// callRoom is the part of the data that holds the calls of a batch; the rest
// is scratch.
const callRoom = 256 << 10

// Family is what the tasks of one restart share: they are copies of one
// another, so area and control socket are at the same place in all.
type Family struct {
	ctx     context.Context
	timeout time.Duration // of each wait for a task
	area    Area
	socket  int // our end of the control socket
	control int // its other end's number in the stubs
	base    int // numbers below may be used by the image
	vdso    []Mapping
}

// Task is a thread that is being built. It is a place.Process.
type Task struct {
	*Family
	Thread *tracee.Thread
}

// Begin takes over the first task, which runs ELF and is stopped: makes the
// area in it, moves the vdso there, unmaps everything else, blocks all signals
// and opens the control socket. highest is the highest descriptor number that
// the image uses; timeout bounds each wait for a task of the family.
func Begin(ctx context.Context, t *tracee.Thread, area Area, highest int, timeout time.Duration) (*Task, error) {
	f := &Family{ctx: ctx, timeout: timeout, area: area, socket: -1, control: highest + controlUp, base: highest + controlUp + 1}
	p := &Task{Family: f, Thread: t}
	if err := p.makeArea(); err != nil {
		return nil, fmt.Errorf("prepare the restart's first process %d: %w", t.TID(), err)
	}
	if err := t.SetSignalMask(^uint64(0)); err != nil {
		return nil, err
	}
	if err := p.clearAddressSpace(); err != nil {
		return nil, fmt.Errorf("empty the address space of the restart's first process %d: %w", t.TID(), err)
	}
	if err := p.openControl(); err != nil {
		return nil, fmt.Errorf("open a socket to the restart's first process %d: %w", t.TID(), err)
	}
	return p, nil
}

func (p *Task) makeArea() error {
	ctx, cancel := p.limit()
	defer cancel()
	r, err := p.Thread.Remote(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE
	for _, m := range []struct{ start, size, prot uint64 }{
		{p.area.Start, uint64(os.Getpagesize()), unix.PROT_READ | unix.PROT_EXEC},
		{p.area.data(), dataSize, unix.PROT_READ | unix.PROT_WRITE},
	} {
		if _, err := r.Call(unix.SYS_MMAP, m.start, m.size, m.prot, flags, ^uint64(0), 0); err != nil {
			return fmt.Errorf("map %d bytes at %#x: %w", m.size, m.start, err)
		}
	}
	return r.Write(p.area.Start, tracee.BatchCode)
}

// limit bounds a wait for a task.
func (f *Family) limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(f.ctx, f.timeout)
}

// PID is the task's number on the host.
func (p *Task) PID() int { return p.Thread.TID() }

// Scratch is memory for arguments.
func (p *Task) Scratch() (addr uint64, size int) {
	return p.area.data() + callRoom, dataSize - callRoom
}

// Call runs one system call.
func (p *Task) Call(nr uint64, args ...uint64) (uint64, error) {
	c := []tracee.Call{{Nr: nr}}
	copy(c[0].Args[:], args)
	if err := p.Run(c); err != nil {
		return 0, err
	}
	return uint64(c[0].Result), c[0].Err()
}

// Run runs calls in order, whatever each gives.
func (p *Task) Run(calls []tracee.Call) error {
	_, err := p.run(calls)
	return err
}

func (p *Task) run(calls []tracee.Call) (child int, err error) {
	if err := trip.Call(); err != nil {
		return 0, err
	}
	buf := make([]byte, min(len(calls)*tracee.CallSize, callRoom))
	for len(calls) > 0 {
		n := min(len(calls), callRoom/tracee.CallSize)
		b := buf[:n*tracee.CallSize]
		tracee.EncodeCalls(calls[:n], b)
		if err := p.Write(p.area.data(), b); err != nil {
			return 0, err
		}
		if child, err = p.batch(n); err != nil {
			return 0, err
		}
		if err := p.Read(p.area.data(), b); err != nil {
			return 0, err
		}
		tracee.DecodeResults(b, calls[:n])
		calls = calls[n:]
	}
	return child, nil
}

func (p *Task) batch(n int) (child int, err error) {
	ctx, cancel := p.limit()
	defer cancel()
	return p.Thread.RunBatch(ctx, p.area.Start, p.area.data(), n)
}

// Read reads the task's memory.
func (p *Task) Read(addr uint64, b []byte) error {
	return p.memory(os.O_RDONLY, func(f *os.File) error { _, err := f.ReadAt(b, int64(addr)); return err })
}

// Write writes the task's memory, whatever its protection.
func (p *Task) Write(addr uint64, b []byte) error {
	if len(b) > 0 {
		local := []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}
		remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}
		if n, err := unix.ProcessVMWritev(p.PID(), local, remote, 0); err == nil && n == len(b) {
			return nil
		}
	}
	return p.memory(os.O_WRONLY, func(f *os.File) error { _, err := f.WriteAt(b, int64(addr)); return err })
}

func (p *Task) memory(flag int, do func(*os.File) error) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", p.PID()), flag, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return do(f)
}
