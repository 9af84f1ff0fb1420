package uring

import (
	"fmt"
	"slices"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// where a request was found.
type where int

const (
	waiting where = iota // for its file, its time, or a futex
	ready                // its task has yet to go on with it
	working              // a worker of the kernel has it, or will
)

// request is an io_kiocb under way.
type request struct {
	*object
	where where
	links []*request // what begins when it has completed
	note  bool       // it is part of another one
}

// requests finds all requests under way, and what it would take to issue them
// again. What the kernel counts and no list has is refused.
func (r *ring) requests() error {
	found := r.find()
	if r.k.err != nil {
		return nil
	}
	if err := r.countAll(found); err != nil {
		return err
	}
	heads := r.heads(found)
	for _, q := range heads {
		if err := r.issueAgain(q); err != nil {
			return err
		}
	}
	return nil
}

// find looks into every list that a request can be in.
func (r *ring) find() map[uint64]*request {
	found := map[uint64]*request{}
	add := func(at uint64, w where) {
		q := found[at]
		if q == nil {
			q = &request{object: r.k.object("io_kiocb", at), where: w}
			if r.k.err != nil || q.u64("ctx") != r.ctx.at {
				return // of another ring that the thread uses
			}
			found[at] = q
			// What tells that the network no longer needs the memory (io_uring/notif.c).
			if op := q.u8("opcode"); op == sys.UringOpSendZC || op == sys.UringOpSendmsgZC {
				if at := q.inner("io_sr_msg", "cmd").u64("notif"); at != 0 {
					found[at] = &request{object: r.k.object("io_kiocb", at), note: true}
				}
			}
		}
		for next := q.u64("link"); next != 0 && found[next] == nil && r.k.err == nil; {
			l := &request{object: r.k.object("io_kiocb", next)}
			found[next] = l
			next = l.u64("link")
		}
	}
	chain := func(first, offset uint64, w where) {
		r.k.chain(first, 0, offset, func(at uint64) { add(at, w) })
	}
	hash := r.k.offset("io_kiocb", "hash_node")
	r.polls(func(first uint64) { chain(first, hash, waiting) })
	timeout := r.k.offset("io_timeout", "list")
	for _, list := range []string{"timeout_list", "ltimeout_list"} {
		r.k.list(r.ctx.place(list), timeout, func(at uint64) { add(at, waiting) })
	}
	for _, list := range []string{"futex_list", "waitid_list", "cancelable_uring_cmd"} {
		if r.k.has("io_ring_ctx", list) {
			chain(r.ctx.u64(list+".first"), hash, waiting)
		}
	}
	work := r.k.offset("io_kiocb", "io_task_work") + r.k.offset("io_task_work", "node")
	for _, list := range []string{"work_llist", "retry_llist"} {
		if r.k.has("io_ring_ctx", list) {
			chain(r.ctx.u64(list+".first"), work, ready)
		}
	}
	for context := range r.users {
		if context == 0 {
			continue
		}
		t := r.k.object("io_uring_task", context)
		chain(t.u64("task_list.first"), work, ready)
		if t.u64("io_wq") != 0 {
			r.workers(t.u64("io_wq"), func(at uint64) { add(at, working) })
		}
	}
	return found
}

// polls calls each with the first link of every chain of the table of requests
// that wait for a file.
func (r *ring) polls(each func(first uint64)) {
	for _, table := range []string{"cancel_table", "cancel_table_locked"} { // the latter until Linux 6.10
		if !r.k.has("io_ring_ctx", table) {
			continue
		}
		size, err := r.k.Size("io_hash_bucket")
		r.k.fail(err)
		bits := r.ctx.u32(table + ".hash_bits")
		const most = 16
		if r.k.err != nil || bits > most {
			r.k.fail(fmt.Errorf("a table of 2^%d chains", bits))
			return
		}
		for b := r.k.read(r.ctx.u64(table+".hbs"), int(size)<<bits); len(b) >= int(size); b = b[size:] {
			bucket := &object{k: r.k, name: "io_hash_bucket", b: b[:size]}
			each(bucket.u64("list.first"))
		}
	}
}

// workers calls each with what the kernel's workers for a thread are at, or have
// before them. Linux 6.1 has workers for each node of memory.
func (r *ring) workers(wq uint64, each func(at uint64)) {
	if !r.k.has("io_wq", "wqes") {
		inWQ := r.k.offset("io_wq", "acct")
		all := r.k.has("io_wq", "all_list") // until Linux 6.14 of both kinds
		r.queues("io_wq_acct", wq+inWQ, !all, each)
		if all {
			r.busy(wq+r.k.offset("io_wq", "all_list"), each)
		}
		return
	}
	nodes, err := procfs.PossibleNodes()
	r.k.fail(err)
	for _, wqe := range r.k.pointers(wq+r.k.offset("io_wq", "wqes"), nodes) {
		if wqe != 0 {
			r.queues("io_wqe_acct", wqe+r.k.offset("io_wqe", "acct"), false, each)
			r.busy(wqe+r.k.offset("io_wqe", "all_list"), each)
		}
	}
}

// queues are those of bound and unbound work; each may have its own workers.
func (r *ring) queues(name string, first uint64, withWorkers bool, each func(at uint64)) {
	work := r.k.offset("io_kiocb", "work")
	next := r.k.offset("io_wq_work", "list")
	size, err := r.k.Size(name)
	r.k.fail(err)
	for i := range uint64(2) {
		acct := r.k.object(name, first+i*uint64(size))
		r.k.chain(acct.u64("work_list"), 0, work+next, each)
		if withWorkers {
			r.busy(acct.place("all_list"), each)
		}
	}
}

// busy calls each with what the workers of a list are at.
func (r *ring) busy(workers uint64, each func(at uint64)) {
	r.k.list(workers, r.k.offset("io_worker", "all_list"), func(at uint64) {
		if current := r.k.object("io_worker", at).u64("cur_work"); current != 0 {
			each(current - r.k.offset("io_kiocb", "work"))
		}
	})
}

// countAll compares what was found with what the kernel has allocated and not
// got back.
func (r *ring) countAll(found map[uint64]*request) error {
	allocated := 0
	if r.k.has("io_ring_ctx", "nr_req_allocated") {
		allocated = int(r.ctx.u32("nr_req_allocated"))
	} else { // before Linux 6.16 each is a reference to the ring, and there is one more
		n, err := r.References(r.ctx.place("refs"))
		r.k.fail(err)
		allocated = n - 1
	}
	free := 0
	count := func(uint64) { free++ }
	r.k.chain(r.ctx.u64("submit_state.free_list"), 0, 0, count)
	if r.k.has("io_ring_ctx", "locked_free_list") {
		r.k.chain(r.ctx.u64("locked_free_list"), 0, 0, count)
	}
	if missing := allocated - free - len(found); missing != 0 && r.k.err == nil {
		return &passing{settle: true, error: obstacle("try again; else end what the program does with files just now",
			"%d of its requests are under way, and %d can be seen", len(found)+missing, len(found))}
	}
	return nil
}

// heads are the requests that follow no other one, each with those that do, in
// an order that does not change.
func (r *ring) heads(found map[uint64]*request) []*request {
	linked := map[uint64]bool{}
	for _, q := range found {
		if next := q.u64("link"); next != 0 {
			linked[next] = true
		}
	}
	// A timeout that has come is no longer linked to what it ends; nobody has ended
	// that yet.
	for at, q := range found {
		if q.where == ready && q.u8("opcode") == sys.UringOpLinkTimeout {
			if ends := found[q.inner("io_timeout", "cmd").u64("prev")]; ends != nil {
				linked[at] = true
				ends.links = append(ends.links, q)
			}
		}
	}
	var heads []*request
	for at, q := range found {
		if linked[at] || q.note {
			continue
		}
		for next := q.u64("link"); next != 0 && found[next] != nil; next = found[next].u64("link") {
			q.links = append(q.links, found[next])
		}
		heads = append(heads, q)
	}
	slices.SortFunc(heads, func(a, b *request) int {
		if a.at < b.at {
			return -1
		}
		return 1
	})
	return heads
}

// issueAgain appends what it takes to issue a request, and those that are linked
// to it, again.
func (r *ring) issueAgain(q *request) error {
	op := sys.UringOp(q.u8("opcode"))
	switch {
	case q.where == working:
		return &passing{error: obstacle("try again when it has completed", "%s is with a worker of the kernel", op)}
	case q.where == ready && (r.Settle != nil || q.u8("opcode") != sys.UringOpTimeout):
		return &passing{settle: true, error: obstacle("try again", "%s has completed, and its thread has not heard of it", op)}
	}
	if n := 1 + len(q.links); n > format.MaxIoUringChain {
		return obstacle("let them complete before the checkpoint", "%d requests are linked", n)
	}
	for i, one := range append([]*request{q}, q.links...) {
		m, err := r.describe(one)
		if err != nil {
			return err
		}
		if i < len(q.links) && m.Sqe[1]&(sys.SQELink|sys.SQEHardLink) == 0 {
			m.Sqe[1] |= sys.SQELink
		}
		r.out.Requests = append(r.out.Requests, m)
	}
	return nil
}

// contextOf is the io_uring_task of who has submitted a request.
func (r *ring) contextOf(q *request) uint64 {
	if r.k.has("io_kiocb", "tctx") { // since Linux 6.13
		return q.u64("tctx")
	}
	return r.k.pointer(q.u64("task") + r.k.offset("task_struct", "io_uring"))
}

// describe makes the SQE of a request, and says what it needs besides.
func (r *ring) describe(q *request) (*format.IoUringRequest, error) {
	op := q.u8("opcode")
	build := builders[op]
	if build == nil {
		return nil, obstacle("let it complete, or have the program cancel it, before the checkpoint", "a request %s is under way, which this version can't issue again", sys.UringOp(op))
	}
	m := &format.IoUringRequest{Sqe: make([]byte, sys.UringSQESize)}
	e := sqe(m.Sqe)
	task, known := r.users[r.contextOf(q)]
	if !known {
		return nil, obstacle("end it before the checkpoint", "the thread that had submitted %s has ended", sys.UringOp(op))
	}
	m.Task = task.TID
	const flags = sys.SQELink | sys.SQEHardLink | sys.SQEAsync | sys.SQEBufferSelect | sys.SQESkipSuccess
	e.set8(sqeOpcode, op)
	e.set8(sqeFlags, uint8(q.u64("flags"))&flags)
	e.set64(sqeUserData, q.u64("cqe.user_data"))
	if err := build(r, q, m, task); err != nil {
		return nil, err
	}
	return m, nil
}
