package uring

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// sqe is a struct io_uring_sqe (include/uapi/linux/io_uring.h).
type sqe []byte

// Where its fields lie; several have more names than one.
const (
	sqeOpcode   = 0
	sqeFlags    = 1
	sqeIoprio   = 2
	sqeFD       = 4
	sqeOff      = 8
	sqeAddr     = 16
	sqeLen      = 24
	sqeOpFlags  = 28
	sqeUserData = 32
	sqeBufGroup = 40
	sqeSlot     = 44
	sqeAddr3    = 48
)

func (e sqe) set8(at int, v uint8)   { e[at] = v }
func (e sqe) set16(at int, v uint16) { binary.NativeEndian.PutUint16(e[at:], v) }
func (e sqe) set32(at int, v uint32) { binary.NativeEndian.PutUint32(e[at:], v) }
func (e sqe) set64(at int, v uint64) { binary.NativeEndian.PutUint64(e[at:], v) }

func (e sqe) has(flag uint8) bool { return e[sqeFlags]&flag != 0 }

// builders fill an SQE with what the kernel keeps of a request, by its opcode.
// What is not here can't be issued again, or not without doing it twice.
var builders map[uint8]func(r *ring, q *request, m *format.IoUringRequest, task Task) error

func init() { // the functions refer to the table
	builders = map[uint8]func(r *ring, q *request, m *format.IoUringRequest, task Task) error{
		sys.UringOpPollAdd:       buildPoll,
		sys.UringOpRead:          buildRead,
		sys.UringOpWrite:         buildRead,
		sys.UringOpReadv:         buildRead,
		sys.UringOpWritev:        buildRead,
		sys.UringOpReadFixed:     buildRead,
		sys.UringOpWriteFixed:    buildRead,
		sys.UringOpReadMultishot: buildRead,
		sys.UringOpRecv:          buildMessage,
		sys.UringOpSend:          buildMessage,
		sys.UringOpRecvmsg:       buildMessage,
		sys.UringOpSendmsg:       buildMessage,
		sys.UringOpAccept:        buildAccept,
		sys.UringOpTimeout:       buildTimeout,
		sys.UringOpLinkTimeout:   buildTimeout,
		sys.UringOpFutexWait:     buildFutex,
	}
}

// file says which open file a request is of.
func (r *ring) file(q *request, m *format.IoUringRequest) error {
	file := q.u64("file")
	if file == 0 { // linked: it is looked up, by its number, when its turn comes
		e := sqe(m.Sqe)
		e.set32(sqeFD, q.u32("cqe.fd"))
		e.set8(sqeFlags, e[sqeFlags]|uint8(q.u64("flags"))&sys.SQEFixedFile)
		return nil
	}
	id, known := r.File(file)
	if !known {
		return obstacle("have the program cancel it, or keep a descriptor of its file", "no descriptor leads to the file of %s, which is under way", sys.UringOp(q.u8("opcode")))
	}
	m.OpenFile = id
	return nil
}

// buildPoll: the kernel adds EPOLLONESHOT and EPOLLET to the events for what the
// flags do not ask for (io_poll_parse_events, io_uring/poll.c).
func buildPoll(r *ring, q *request, m *format.IoUringRequest, _ Task) error {
	const multi, level = 1 << 0, 1 << 3 // IORING_POLL_ADD_MULTI, IORING_POLL_ADD_LEVEL
	events, flags := q.inner("io_poll", "cmd").u32("events"), uint32(0)
	const wakes = 1<<30 - 1 // IO_POLL_REF_MASK: of which nobody has heard yet
	if events&unix.EPOLLONESHOT == 0 {
		flags |= multi
		m.Told = q.u32("poll_refs")&wakes == 0
	}
	if events&unix.EPOLLET == 0 {
		flags |= level
	}
	e := sqe(m.Sqe)
	const edge = uint32(unix.EPOLLET)
	e.set32(sqeOpFlags, events&^(unix.EPOLLONESHOT|edge))
	e.set32(sqeLen, flags)
	return r.file(q, m)
}

func buildRead(r *ring, q *request, m *format.IoUringRequest, task Task) error {
	rw, e, op := q.inner("io_rw", "cmd"), sqe(m.Sqe), q.u8("opcode")
	e.set64(sqeOff, rw.u64("kiocb.ki_pos"))
	e.set64(sqeAddr, rw.u64("addr"))
	e.set32(sqeLen, rw.u32("len"))
	e.set32(sqeOpFlags, rw.u32("flags"))
	// Of its priority only a disk would hear, and there is none that is waited for.
	if async := q.u64("async_data"); async != 0 {
		a := r.k.object("io_async_rw", async)
		if a.u64("bytes_done") != 0 {
			return obstacle("let it complete before the checkpoint", "%s is half done", sys.UringOp(op))
		}
		if op == sys.UringOpReadv || op == sys.UringOpWritev {
			iter := "iter"
			if isLinux61() {
				iter = "s.iter"
			}
			if err := r.sameVector(a.inner("iov_iter", iter), rw.u64("addr"), rw.u32("len"), op, task); err != nil {
				return err
			}
		}
	}
	if e.has(sys.SQEBufferSelect) {
		e.set64(sqeAddr, 0)
		switch async := q.u64("async_data"); {
		case !r.k.has("io_async_rw", "buf_group"): // it is that again when the kernel waits
			e.set16(sqeBufGroup, q.u16("buf_index"))
		case async != 0:
			e.set16(sqeBufGroup, uint16(r.k.object("io_async_rw", async).u32("buf_group")))
		}
	}
	if op == sys.UringOpReadFixed || op == sys.UringOpWriteFixed {
		e.set16(sqeBufGroup, q.u16("buf_index"))
	}
	if op == sys.UringOpReadMultishot { // the kernel has put in what it chose
		e.set64(sqeAddr, 0)
		e.set32(sqeLen, 0)
	}
	return r.file(q, m)
}

func buildMessage(r *ring, q *request, m *format.IoUringRequest, task Task) error {
	sr, e, op := q.inner("io_sr_msg", "cmd"), sqe(m.Sqe), q.u8("opcode")
	const noSignal = unix.MSG_NOSIGNAL // the kernel's own addition
	const (
		multishot   = 1 << 1  // IORING_RECV_MULTISHOT
		limited     = 1 << 14 // IORING_RECV_MSHOT_LIM and the like: the kernel's notes
		userVisible = 0x3f
	)
	if sr.u32("done_io") != 0 {
		return obstacle("let it complete before the checkpoint", "%s is half done", sys.UringOp(op))
	}
	e.set64(sqeAddr, sr.u64("buf"))
	e.set32(sqeLen, sr.u32("len"))
	e.set32(sqeOpFlags, sr.u32("msg_flags")&^uint32(noSignal))
	if op == sys.UringOpRecv || op == sys.UringOpRecvmsg {
		e.set32(sqeOpFlags, sr.u32("msg_flags"))
	}
	flags := sr.u16("flags")
	if flags&limited != 0 {
		return obstacle("let it complete before the checkpoint", "%s with a limit to all that it receives is under way", sys.UringOp(op))
	}
	e.set16(sqeIoprio, flags&userVisible)
	if e.has(sys.SQEBufferSelect) {
		e.set16(sqeBufGroup, sr.u16("buf_group"))
		if op == sys.UringOpRecv {
			e.set64(sqeAddr, 0)
			switch {
			case flags&multishot == 0:
			case r.k.has("io_sr_msg", "mshot_len"):
				e.set32(sqeLen, sr.u32("mshot_len"))
			default: // as in Linux 6.12: it has none, and the kernel has put a buffer's in
				e.set32(sqeLen, 0)
			}
		}
	}
	if op == sys.UringOpRecvmsg || op == sys.UringOpSendmsg {
		if err := r.sameMessage(q, sr.u64("buf"), e, task); err != nil {
			return err
		}
	}
	return r.file(q, m)
}

// apollMultishot61 is REQ_F_APOLL_MULTISHOT of Linux 6.1.
const apollMultishot61 = 1 << 27

func buildAccept(r *ring, q *request, m *format.IoUringRequest, _ Task) error {
	a, e := q.inner("io_accept", "cmd"), sqe(m.Sqe)
	e.set64(sqeAddr, a.u64("addr"))
	e.set64(sqeOff, a.u64("addr_len"))
	e.set32(sqeOpFlags, a.u32("flags"))
	if r.k.has("io_accept", "iou_flags") { // since Linux 6.10
		e.set16(sqeIoprio, uint16(a.u32("iou_flags")))
	} else if q.u64("flags")&apollMultishot61 != 0 {
		e.set16(sqeIoprio, 1) // IORING_ACCEPT_MULTISHOT
	}
	e.set32(sqeSlot, a.u32("file_slot"))
	return r.file(q, m)
}

// buildTimeout: what remains, whatever the clock, but for a time of the day.
func buildTimeout(r *ring, q *request, m *format.IoUringRequest, _ Task) error {
	t, e := q.inner("io_timeout", "cmd"), sqe(m.Sqe)
	data := r.k.object("io_timeout_data", q.u64("async_data"))
	const absolute, boot, realtime, multishot = 1 << 0, 1 << 2, 1 << 3, 1 << 6 // IORING_TIMEOUT_*
	flags := data.u32("flags")
	clock := int32(unix.CLOCK_MONOTONIC)
	switch {
	case flags&boot != 0:
		clock = unix.CLOCK_BOOTTIME
	case flags&realtime != 0:
		clock = unix.CLOCK_REALTIME
	}
	interval := data.inner("timespec64", "ts")
	switch {
	case flags&realtime != 0 && flags&absolute != 0, flags&multishot != 0:
		// Of one that goes on and on, the kernel can't be told the first time apart.
		m.TimeNs = int64(interval.u64("tv_sec"))*1e9 + int64(interval.u64("tv_nsec"))
	default:
		var now unix.Timespec
		if err := unix.ClockGettime(clock, &now); err != nil {
			return err
		}
		m.TimeNs = max(int64(data.u64("timer.node.expires"))-now.Nano(), 1)
		flags &^= absolute
	}
	e.set32(sqeOpFlags, flags)
	e.set32(sqeLen, 1)
	if q.u8("opcode") == sys.UringOpLinkTimeout {
		return nil
	}
	switch off := t.u32("off"); {
	case flags&multishot != 0:
		e.set64(sqeOff, uint64(t.u32("repeats")))
	case off != 0: // so many more completions
		done := r.ctx.u32("cached_cq_tail") - r.ctx.u32("cq_timeouts")
		e.set64(sqeOff, uint64(max(int32(t.u32("target_seq")-done), 1)))
	}
	return nil
}

// buildFutex: the kernel has its own form of the flags (futex2_to_flags,
// kernel/futex/futex.h).
func buildFutex(r *ring, q *request, m *format.IoUringRequest, _ Task) error {
	f, e := q.inner("io_futex", "cmd"), sqe(m.Sqe)
	const (
		sizeMask, numa   = 3, 4
		shared, private2 = 0x10, 128
	)
	flags := f.u32("futex_flags")
	out := flags & (sizeMask | numa)
	if flags&shared == 0 {
		out |= private2
	}
	e.set32(sqeFD, out)
	e.set64(sqeAddr, f.u64("uaddr"))
	e.set64(sqeOff, f.u64("futex_val"))
	e.set64(sqeAddr3, f.u64("futex_mask"))
	return nil
}
