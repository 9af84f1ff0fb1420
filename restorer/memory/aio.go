package memory

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// Contexts of io_setup(2): the kernel gives them numbers in order, from the first one
// that is free, chooses where the ring lies, and counts its tail by itself. So
// contexts without a use fill the gaps for a moment, the ring is moved to its place,
// which changes the context's name as well (aio_ring_mremap, fs/aio.c), and requests
// that do nothing count the tail up.

var le = binary.LittleEndian

// makeAio makes the contexts of an address space.
func makeAio(p place.Process, mm *format.Mm) error {
	var all []*format.Vma
	for _, v := range mm.Vmas {
		if v.Aio != nil {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b *format.Vma) int { return int(a.Aio.Id) - int(b.Aio.Id) })
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	numbers, err := p.Send([]int{int(null.Fd())})
	if err != nil {
		return err
	}
	var gaps []uint64
	for next := uint32(0); len(all) > 0; next++ {
		if next == all[0].Aio.Id {
			c := &aioContext{p: p, vma: all[0], null: numbers[0]}
			if err := c.make(); err != nil {
				return fmt.Errorf("make context %#x of io_setup(2): %w", c.vma.Start, err)
			}
			all = all[1:]
			continue
		}
		gap, err := setupAio(p, 1)
		if err != nil {
			return fmt.Errorf("make a context of io_setup(2): %w", err)
		}
		gaps = append(gaps, gap)
	}
	calls := []tracee.Call{{Nr: unix.SYS_CLOSE, Args: [6]uint64{uint64(numbers[0])}}}
	for _, gap := range gaps {
		calls = append(calls, tracee.Call{Nr: unix.SYS_IO_DESTROY, Args: [6]uint64{gap}})
	}
	return place.RunAll(p, calls)
}

// setupAio makes a context for so many requests, wherever the kernel puts it.
func setupAio(p place.Process, requests int) (uint64, error) {
	at, _ := p.Scratch()
	if err := p.Write(at, make([]byte, 8)); err != nil {
		return 0, err
	}
	if _, err := p.Call(unix.SYS_IO_SETUP, uint64(requests), at); err != nil {
		return 0, fmt.Errorf("%w (sysctl fs.aio-max-nr may be the limit)", err)
	}
	b := make([]byte, 8)
	err := p.Read(at, b)
	return le.Uint64(b), err
}

// aioContext is a context that is being made.
type aioContext struct {
	p    place.Process
	vma  *format.Vma
	null int // a descriptor of /dev/null in the process
	ring format.AioRing
}

func (c *aioContext) make() (err error) {
	if c.ring, err = format.ParseAioRing(c.vma.Aio.Ring); err != nil {
		return err
	}
	size := c.vma.End - c.vma.Start
	at, err := setupAio(c.p, aioRequests(size))
	if err != nil {
		return err
	}
	head := make([]byte, format.AioHeader)
	if err := c.p.Read(at, head); err != nil {
		return err
	}
	if id, events := le.Uint32(head), le.Uint32(head[4:]); id != c.ring.ID || events != c.ring.Events {
		return fmt.Errorf("it got number %d and %d places instead of %d and %d", id, events, c.ring.ID, c.ring.Events)
	}
	if _, err := c.p.Call(unix.SYS_MREMAP, at, size, size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, c.vma.Start); err != nil {
		return err
	}
	if err := c.count(); err != nil {
		return err
	}
	if err := c.p.Write(c.vma.Start, c.vma.Aio.Ring); err != nil {
		return err
	}
	if c.vma.Prot != unix.PROT_READ|unix.PROT_WRITE {
		_, err = c.p.Call(unix.SYS_MPROTECT, c.vma.Start, size, uint64(c.vma.Prot))
	}
	return err
}

// count brings the kernel's tail to where it was: first to where the head is, up to
// which all is read, then on, so that the kernel counts as many places as taken as
// there are events.
func (c *aioContext) count() error {
	r := c.ring
	const headAt = 8
	for at := uint32(0); at < r.Head; {
		n := min(r.Head-at, max(r.Events/4, 1))
		if err := c.submit(n); err != nil {
			return err
		}
		at += n
		if err := c.p.Write(c.vma.Start+headAt, le.AppendUint32(nil, at)); err != nil {
			return err
		}
	}
	if err := c.submit((r.Tail + r.Events - r.Head) % r.Events); err != nil {
		return err
	}
	b := make([]byte, 4)
	if err := c.p.Read(c.vma.Start+headAt+4, b); err != nil {
		return err
	}
	if tail := le.Uint32(b); tail != r.Tail {
		return fmt.Errorf("the tail of its ring came to %d instead of %d", tail, r.Tail)
	}
	return nil
}

// submit makes n requests that complete at once: to read nothing from /dev/null. Free
// places that one CPU keeps for itself (struct kioctx_cpu) no other one gets: when
// there are no more, the process goes to another CPU.
func (c *aioContext) submit(n uint32) (err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(c.p.PID(), &before); err != nil {
		return err
	}
	others := cpusOf(&before)
	defer func() {
		if e := unix.SchedSetaffinity(c.p.PID(), &before); err == nil {
			err = e
		}
	}()
	const size, fd, buffer, most = 64, 20, 24, 4096 // struct iocb
	at, _ := c.p.Scratch()
	b := make([]byte, size)
	le.PutUint32(b[fd:], uint32(c.null))
	le.PutUint64(b[buffer:], at)
	for range min(n, most) {
		b = le.AppendUint64(b, at)
	}
	if err := c.p.Write(at, b); err != nil {
		return err
	}
	for n > 0 {
		done, err := c.p.Call(unix.SYS_IO_SUBMIT, c.vma.Start, uint64(min(n, most)), at+size)
		if err == unix.EAGAIN && len(others) > 0 {
			var one unix.CPUSet
			one.Set(others[0])
			others = others[1:]
			if err := unix.SchedSetaffinity(c.p.PID(), &one); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("io_submit: %w", err)
		}
		n -= min(uint32(done), n)
	}
	return nil
}

func cpusOf(set *unix.CPUSet) (list []int) {
	for cpu := range len(set) * bits.UintSize {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list
}

// aioRequests is for how many requests at least a context was made whose ring has so
// many bytes: it has twice as many events, and two more, in whole pages
// (ioctx_alloc, aio_setup_ring).
func aioRequests(size uint64) int {
	without := size - uint64(os.Getpagesize()) // one page less would not do
	if without < format.AioHeader {
		return 1
	}
	events := (without - format.AioHeader) / format.AioEvent
	return max(int(events-2)/2+1, 1)
}

// FitsAio tells whether a ring of so many bytes can be made on a host with so many
// CPUs: each of them is to have room for four requests.
func FitsAio(size uint64, cpus int) bool {
	least := format.AioHeader + format.AioEvent*uint64(2*4*cpus+2)
	page := uint64(os.Getpagesize())
	return (least+page-1)/page*page <= size
}

// AioFits tells whether all rings of an image can be made on this host.
func AioFits(s *format.Skeleton) bool {
	cpus, err := procfs.PossibleCPUs()
	if err != nil {
		return true
	}
	for _, mm := range s.Mms {
		for _, v := range mm.Vmas {
			if v.Aio != nil && !FitsAio(v.End-v.Start, cpus) {
				return false
			}
		}
	}
	return true
}
