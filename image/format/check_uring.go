package format

import (
	"fmt"
	"math/bits"
	"slices"
)

const (
	// MaxIoUringSteps is the most that a restart counts to get a ring where it
	// was: some minutes.
	MaxIoUringSteps = 1 << 30

	// MaxIoUringChain is how many requests can be linked.
	MaxIoUringChain = 512

	maxUringEntries  = 1 << 15 // IORING_MAX_ENTRIES; twice that in the completion queue
	maxUringHeader   = 4096    // struct io_rings is far smaller
	maxUringFiles    = 1 << 20 // IORING_MAX_FIXED_FILES
	maxUringBuffers  = 1 << 14 // IORING_MAX_REG_BUFFERS
	maxUringRequests = 1 << 20
	uringSQE         = 64
	uringSQE128      = 1 << 10
	uringCQE32       = 1 << 11
	uringNoSQArray   = 1 << 16
	// The flags that a restart can make a ring with: without polling, memory of
	// the program's, or no descriptor.
	uringFlags = 1<<17 - 1 - (1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<14 | 1<<15)
)

// uringOps are the operations that a restart issues again.
var uringOps = []byte{1, 2, 4, 5, 6, 9, 10, 11, 13, 15, 22, 23, 26, 27, 49, 51}

// IoUringSteps is how many entries a restart has to send through a ring until
// its counters are as they were: each that is taken from the one queue can be put
// into the other or not, and what was put there beyond that comes by itself.
func IoUringSteps(u *IoUring) uint64 {
	return uint64(max(u.SqHead, u.CqTail))
}

// IoUringSizes are the bytes of what is at IORING_OFF_SQ_RING and at
// IORING_OFF_SQES, in whole pages.
func IoUringSizes(u *IoUring) (ring, sqes int) {
	cqe, sqe := uint64(16), uint64(uringSQE)
	if u.Flags&uringCQE32 != 0 {
		cqe *= 2
	}
	if u.Flags&uringSQE128 != 0 {
		sqe *= 2
	}
	end := uint64(u.CqesOffset) + cqe*uint64(u.CqEntries)
	if u.ArrayOffset != 0 {
		end = uint64(u.ArrayOffset) + 4*uint64(u.SqEntries)
	}
	const page = 4096 // less than a page of any kernel is less than what it maps
	return int((end + page - 1) &^ (page - 1)), int((sqe*uint64(u.SqEntries) + page - 1) &^ (page - 1))
}

// IoUringBufferSteps is how many requests it takes to have the kernel take as
// many provided buffers as it had.
func IoUringBufferSteps(u *IoUring) uint32 {
	n := uint32(0)
	for _, b := range u.BufferRings {
		at := IoUringBuffersAtOnce(b)
		n += (b.Head + at - 1) / at
	}
	return n
}

// IoUringBuffersAtOnce is how many buffers one request takes: the kernel looks at
// so many at most (PEEK_MAX_IMPORT, io_uring/kbuf.c). One that can be taken in parts is used up
// then, and no other is in its place.
func IoUringBuffersAtOnce(b *IoUringBufferRing) uint32 {
	const most, incremental = 256, 2 // IOU_PBUF_RING_INC
	if b.Flags&incremental != 0 {
		return min(b.Entries, most)
	}
	return most
}

// IoUringTimed says whether a request's SQE leads to a time.
func IoUringTimed(q *IoUringRequest) bool {
	const timeout, linkTimeout = 11, 15 // IORING_OP_*
	return q.Sqe[0] == timeout || q.Sqe[0] == linkTimeout
}

func powerOf2(n, most uint32) bool { return bits.OnesCount32(n) == 1 && n <= most }

// ioUring checks a ring. What its SQEs point to is the program's matter.
func (c *checker) ioUring(u *IoUring, who func() string) error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%s, an io_uring, %s", who(), fmt.Sprintf(what, args...))
	}
	if !powerOf2(u.GetSqEntries(), maxUringEntries) || !powerOf2(u.CqEntries, 2*maxUringEntries) {
		return bad("has queues of %d and %d entries", u.GetSqEntries(), u.GetCqEntries())
	}
	if u.Flags&^uringFlags != 0 {
		return bad("was made with flags %#x", u.Flags)
	}
	if u.CqesOffset%4 != 0 || u.CqesOffset < 48 || u.CqesOffset > maxUringHeader {
		return bad("has its completions at %d", u.CqesOffset)
	}
	without := &IoUring{Flags: u.Flags, SqEntries: u.SqEntries, CqEntries: u.CqEntries, CqesOffset: u.CqesOffset}
	end, sqes := IoUringSizes(without)
	if (u.ArrayOffset == 0) != (u.Flags&uringNoSQArray != 0) || u.ArrayOffset%4 != 0 || u.ArrayOffset > uint32(end)+maxUringHeader {
		return bad("has its array at %d", u.ArrayOffset)
	}
	if ring, _ := IoUringSizes(u); len(u.Ring) != max(ring, end) || len(u.Sqes) != sqes {
		return bad("is of %d and %d bytes", len(u.Ring), len(u.Sqes))
	}
	if IoUringSteps(u) > MaxIoUringSteps || IoUringBufferSteps(u)+uint32(len(u.Requests)) > u.SqHead && len(u.Requests)+len(u.BufferRings) > 0 {
		return bad("has counted to %d and %d, with %d requests under way", u.SqHead, u.CqTail, len(u.Requests))
	}
	if err := c.uringTask(u.Task, who); err != nil {
		return err
	}
	for _, step := range []func(*IoUring, func() string) error{c.uringRequests, c.uringRegistered, c.uringBuffers} {
		if err := step(u, who); err != nil {
			return err
		}
	}
	return nil
}

// uringTask: 0 is whoever makes it.
func (c *checker) uringTask(tid uint32, who func() string) error {
	if tid == 0 || c.hasTask(tid) {
		return nil
	}
	return fmt.Errorf("%s belongs to thread %d, which is not there", who(), tid)
}

func (c *checker) uringRequests(u *IoUring, who func() string) error {
	const linkTimeout, links = 15, 1<<2 | 1<<3
	if len(u.Requests) > maxUringRequests {
		return fmt.Errorf("%s has %d requests under way", who(), len(u.Requests))
	}
	chain := 0
	for i, q := range u.Requests {
		if len(q.Sqe) != uringSQE || !slices.Contains(uringOps, q.Sqe[0]) || q.TimeNs < 0 {
			return fmt.Errorf("%s has a request under way that can't be issued again", who())
		}
		if chain++; chain > min(int(u.SqEntries), MaxIoUringChain) {
			return fmt.Errorf("%s has more linked requests than its queue takes", who())
		}
		if q.Sqe[1]&links == 0 || i == len(u.Requests)-1 {
			chain = 0
		}
		if err := c.uringTask(q.Task, who); err != nil {
			return err
		}
		if q.OpenFile != 0 {
			if err := c.want(q.OpenFile, anOpenFile, who); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) uringRegistered(u *IoUring, who func() string) error {
	if len(u.Files) > maxUringFiles || len(u.Buffers) > maxUringBuffers {
		return fmt.Errorf("%s has %d files and %d buffers registered", who(), len(u.Files), len(u.Buffers))
	}
	for _, f := range u.Files {
		if f.OpenFile != 0 {
			if err := c.want(f.OpenFile, anOpenFile, who); err != nil {
				return err
			}
		}
	}
	const mostIndex = 15 // IO_RINGFD_REG_MAX
	for _, user := range u.Users {
		if user.Index > mostIndex {
			return fmt.Errorf("%s is registered as number %d", who(), user.Index)
		}
		if err := c.uringTask(user.Task, who); err != nil {
			return err
		}
	}
	if u.Event != nil {
		return c.want(u.Event.OpenFile, anOpenFile, who)
	}
	return nil
}

func (c *checker) uringBuffers(u *IoUring, who func() string) error {
	const entry, mapped, flags = 16, 1, 3
	for _, b := range u.BufferRings {
		ofKernel := b.Flags&mapped != 0
		if !powerOf2(b.Entries, 1<<15) || b.Group > 1<<16-1 || b.Head > 1<<16-1 || b.Flags&^flags != 0 ||
			ofKernel != (b.Start == 0) || ofKernel && len(b.Ring) != entry*int(b.Entries) || !ofKernel && len(b.Ring) != 0 || b.Start >= maxAddress {
			return fmt.Errorf("%s has a ring of %d provided buffers that cannot be", who(), b.Entries)
		}
	}
	return nil
}

// wantRing checks a reference to an io_uring.
func (c *checker) wantRing(id uint32, who func() string) error {
	if err := c.want(id, anOpenFile, who); err != nil {
		return err
	}
	if c.OpenFile(id).GetIoUring() == nil {
		return fmt.Errorf("%s refers to open file %d, which is no io_uring", who(), id)
	}
	return nil
}
