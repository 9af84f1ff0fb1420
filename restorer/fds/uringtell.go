package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"
)

// teller is another ring of a ring's owner, that sends it completions.
type teller struct {
	u       *uring
	params  sys.IoUringParams
	made    bool
	number  uint64 // in the owner's table, if it is made
	entries uint32
	// Our own mappings of it.
	ring, sqes []byte
}

// complete puts n more completions into their queue than were asked for: programs
// get so many from requests that complete more often than once. They come as messages
// from another ring (IORING_OP_MSG_RING, io_uring/msg_ring.c, Linux 5.18).
func (u *uring) complete(ctx context.Context, n uint32) (err error) {
	if n == 0 {
		return nil
	}
	// Of what comes to a ring whose owner does the kernel's work itself, one call does
	// no more than IO_LOCAL_TW_DEFAULT_MAX, 20 (io_uring/io_uring.c, Linux 6.18).
	const most, mostDeferred = 256, 16
	t := &teller{u: u, entries: min(u.CqEntries, most)}
	if u.Flags&sys.UringDeferTaskrun != 0 {
		t.entries = min(t.entries, mostDeferred)
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.open(); err != nil {
		return fmt.Errorf("make another ring for that: %w", err)
	}
	begin := u.word(u.params.CQ.Tail)
	binary.NativeEndian.PutUint32(t.ring[t.params.SQ.Tail:], n)
	if err := u.repeat(ctx, n/t.entries, append(t.tell(t.entries), u.consume(t.entries))); err != nil {
		return err
	}
	if err := u.repeat(ctx, 1, t.tell(n%t.entries)); err != nil {
		return err
	}
	u.setWord(u.params.CQ.Head, begin+n)
	return nil
}

// open makes the ring, full of messages.
func (t *teller) open() (err error) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&t.params)), sys.IoUringParamsSize)
	owner := t.u.owner
	addr, _ := owner.Scratch()
	if err := owner.Write(addr, b); err != nil {
		return err
	}
	if t.number, err = owner.Call(unix.SYS_IO_URING_SETUP, uint64(t.entries), addr); err != nil {
		return err
	}
	t.made = true
	if err := owner.Read(addr, b); err != nil {
		return err
	}
	fd, err := owner.Take(int(t.number))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	array := t.params.SQ.Array
	if t.ring, err = unix.Mmap(fd, sys.UringOffSQ, int(array+4*t.entries), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	if t.sqes, err = unix.Mmap(fd, sys.UringOffSQEs, int(t.entries*sys.UringSQESize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	for i := range t.entries {
		e := t.sqes[i*sys.UringSQESize:]
		e[0], e[1] = sys.UringOpMsgRing, sys.SQESkipSuccess
		binary.NativeEndian.PutUint32(e[4:], uint32(t.u.fd))
		binary.NativeEndian.PutUint32(t.ring[array+4*i:], i)
	}
	return nil
}

// tell are the calls that send n messages: they may have come only when the owner has
// entered the ring.
func (t *teller) tell(n uint32) []tracee.Call {
	return []tracee.Call{
		call(unix.SYS_IO_URING_ENTER, t.number, uint64(n)),
		call(unix.SYS_IO_URING_ENTER, uint64(t.u.fd), 0, 0, sys.UringEnterGetEvents),
	}
}

func (t *teller) close() error {
	for _, b := range [][]byte{t.ring, t.sqes} {
		if b != nil {
			_ = unix.Munmap(b)
		}
	}
	if !t.made {
		return nil
	}
	_, err := t.u.owner.Call(unix.SYS_CLOSE, t.number)
	return err
}
