package uring

import (
	"encoding/binary"

	"lxc-checkpoint/internal/sys"
)

const iovecSize = 16

// sameVector sees that the vector of a request is still in the program's memory:
// the kernel has a copy of its own, and a program may reuse its one
// (IORING_FEAT_SUBMIT_STABLE).
func (r *ring) sameVector(iter *object, address uint64, n uint32, op uint8, task Task) error {
	const most = 1024 // UIO_MAXIOV
	gone := obstacle("have the program keep it until the request has completed", "the vector of %s, which is under way, is no longer in the program's memory", sys.UringOp(op))
	if n > most {
		return gone
	}
	b := make([]byte, iovecSize*n)
	if err := r.Memory(task.PID, address, b); err != nil {
		return gone
	}
	sum := uint64(0)
	for i := range int(n) {
		sum += binary.NativeEndian.Uint64(b[iovecSize*i+8:])
	}
	if sum != iter.u64("count") {
		return gone
	}
	first := uint64(0)
	buffer, vector, pointer := iterBuffer, iterVector, "__iov"
	if isLinux61() {
		buffer, vector, pointer = iterBuffer61, iterVector61, "iov"
	}
	switch iter.u8("iter_type") {
	case buffer:
		first = iter.u64("ubuf")
	case vector:
		first = r.k.pointer(iter.u64(pointer))
	default:
		return gone
	}
	if n > 0 && first != binary.NativeEndian.Uint64(b) {
		return gone
	}
	return nil
}

// enum iter_type (include/linux/uio.h), now and in Linux 6.1.
const (
	iterBuffer, iterVector     uint8 = 0, 1
	iterBuffer61, iterVector61 uint8 = 6, 0
)

// sameMessage sees the same of a struct msghdr.
func (r *ring) sameMessage(q *request, address uint64, e sqe, task Task) error {
	op := q.u8("opcode")
	gone := obstacle("have the program keep it until the request has completed", "the message header of %s, which is under way, is no longer in the program's memory", sys.UringOp(op))
	const (
		size               = 56 // struct user_msghdr
		name, vector, n    = 0, 16, 24
		control, controlsz = 32, 40
	)
	async := q.u64("async_data")
	b := make([]byte, size)
	if async == 0 || r.Memory(task.PID, address, b) != nil {
		return gone
	}
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	m := r.k.object("io_async_msghdr", async)
	if op == sys.UringOpSendmsg && (word(name) != 0 || word(controlsz) != 0) {
		return obstacle("let it complete before the checkpoint", "%s with an address or ancillary data is under way", sys.UringOp(op))
	}
	if op == sys.UringOpRecvmsg && m.u64("uaddr") != word(name) {
		return gone
	}
	if e.has(sys.SQEBufferSelect) {
		return nil // the vector is not used
	}
	return r.sameVector(r.k.object("iov_iter", m.place("msg.msg_iter")), word(vector), uint32(min(word(n), 1<<20)), op, task)
}
