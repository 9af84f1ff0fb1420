// Package uring looks at a ring of io_uring in the kernel's memory: no file and
// no call tells what it was made with, what is registered, and which requests
// are under way (struct io_ring_ctx, include/linux/io_uring_types.h). It only
// reads, and whoever uses the ring stands still; but timers and the kernel's
// workers go on.
package uring

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// Env is what Look has to know of the container.
type Env struct {
	Kernel view.Kernel
	// File finds an open file by the kernel's address of its struct file, Event
	// an eventfd by that of its eventfd_ctx.
	File, Event func(address uint64) (openFile uint32, ok bool)
	// Task finds a thread of the container by the kernel's address of it.
	Task func(address uint64) (Task, bool)
	// Frame is the number of the page that the ring's memory begins with. Find
	// finds such a page in a process's memory.
	Frame uint64
	Find  func(pid int, frame uint64) (address uint64, ok bool, err error)
	// Writable says whether a process can write to all of a part of its memory.
	Writable func(pid int, start, length uint64) (bool, error)
	// Memory reads that memory.
	Memory func(pid int, address uint64, b []byte) error
	// References is how many references there are to what has a struct percpu_ref.
	References func(address uint64) (int, error)
	// Settle has a thread do the kernel's work for it that waits: so it sees what
	// has completed since it was stopped. Nil: nothing may change any more.
	Settle func(Task) error
}

// Task is a thread that uses a ring.
type Task struct {
	TID uint32 // in the container
	PID int    // on the host
}

// ErrUnknown wraps what makes the kernel's io_uring another one than those that
// this version knows.
var ErrUnknown = errors.New("the io_uring of this kernel is not one that this version knows")

// Obstacle says why a ring can't be saved.
type Obstacle struct{ Reason, Remedy string }

func (o *Obstacle) Error() string { return o.Reason }

func obstacle(remedy, reason string, args ...any) error {
	return &Obstacle{fmt.Sprintf(reason, args...), remedy}
}

// ring is a look at one ring under way.
type ring struct {
	Env
	k   *kernel
	ctx *object
	out *format.IoUring
	// Those who have used it, by the kernel's address of their io_uring_task.
	users map[uint64]Task
	owner Task // who is to make it again
}

// Look describes the ring whose io_ring_ctx is at an address, but for what the
// program sees of it.
func Look(env Env, address uint64) (*format.IoUring, error) {
	err := (&kernel{Kernel: env.Kernel}).check()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	for range patience {
		r := &ring{Env: env, k: &kernel{Kernel: env.Kernel}, out: &format.IoUring{}, users: map[uint64]Task{}}
		err = r.look(address)
		if r.k.err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnknown, r.k.err)
		}
		var passing *passing
		if !errors.As(err, &passing) {
			return r.out, err
		}
		err = passing.error
		if passing.settle && env.Settle != nil {
			for _, t := range r.users {
				if e := env.Settle(t); e != nil {
					return nil, e
				}
			}
			continue
		}
		time.Sleep(pause)
	}
	return nil, err
}

// Requests that the kernel works at end by themselves, mostly soon.
const (
	patience = 20
	pause    = 5 * time.Millisecond
)

// passing is an obstacle that may go away by itself.
type passing struct {
	error
	settle bool // it goes when its thread is settled
}

func (r *ring) look(address uint64) error {
	r.ctx = r.k.object("io_ring_ctx", address)
	c, out := r.ctx, r.out
	flags := c.u32("flags")
	if err := checkFlags(flags); err != nil {
		return err
	}
	out.Flags = flags &^ (sys.UringCQSize | sys.UringClamp | sys.UringAttachWQ)
	out.SqEntries, out.CqEntries = c.u32("sq_entries"), c.u32("cq_entries")
	out.SqHead, out.CqTail = c.u32("cached_sq_head"), c.u32("cached_cq_tail")
	out.CqesOffset = uint32(r.k.offset("io_rings", "cqes"))
	if flags&sys.UringNoSQArray == 0 {
		out.ArrayOffset = uint32(c.u64("sq_array") - c.u64("rings"))
	}
	if r.k.has("io_ring_ctx", "clockid") {
		out.Clock = int32(c.u32("clockid"))
	}
	for _, step := range []func() error{r.findUsers, r.refuseRest, r.registered, r.requests} {
		if err := step(); err != nil || r.k.err != nil {
			return err
		}
	}
	return r.checkSteps()
}

func checkFlags(flags uint32) error {
	for _, f := range []struct {
		bit          uint32
		name, remedy string
	}{
		{sys.UringSQPoll, "IORING_SETUP_SQPOLL: a thread of the kernel submits for it, with the rights that its maker had", "have the program do without (SQPOLL is an option of most libraries)"},
		{sys.UringIOPoll, "IORING_SETUP_IOPOLL: it polls devices of this host", "have the program do without"},
		{sys.UringNoMmap, "IORING_SETUP_NO_MMAP: it lies in memory that the program gave", "have the program do without"},
		{sys.UringOnlyRegistred, "IORING_SETUP_REGISTERED_FD_ONLY: it has no descriptor", "have the program do without"},
	} {
		if flags&f.bit != 0 {
			return obstacle(f.remedy, "it was made with %s", f.name)
		}
	}
	const known = 1<<17 - 1 // up to IORING_SETUP_NO_SQARRAY
	if more := flags &^ known; more != 0 {
		return obstacle("", "it was made with flags that this version does not know: %#x", more)
	}
	return nil
}

// refuseRest refuses what is rare.
func (r *ring) refuseRest() error {
	c := r.ctx
	if c.bit("compat") {
		return obstacle("have the program do without", "a 32-bit program has made it, and reads its memory in another form")
	}
	for _, p := range []struct{ member, what string }{
		{"personalities.xa_head", "credentials are registered with it (IORING_REGISTER_PERSONALITY)"},
		{"zcrx_ctxs.xa_head", "it receives without copying (IORING_REGISTER_ZCRX_IFQ)"},
		{"param_region.ptr", "memory for its parameters is registered with it (IORING_REGISTER_MEM_REGION)"},
		{"cq_wait_arg", "memory for its waits is registered with it (IORING_REGISTER_MEM_REGION)"},
		{"napi_busy_poll_dt", "it polls network devices of this host (IORING_REGISTER_NAPI)"},
		{"fallback_llist.first", "requests of a thread that has ended are still being undone"},
	} {
		if r.k.has("io_ring_ctx", p.member) && c.u64(p.member) != 0 {
			return obstacle("have the program do without, or end it before the checkpoint", "%s", p.what)
		}
	}
	restrictions := r.k.object("io_restriction", c.place("restrictions"))
	if restrictions.u8("registered") != 0 {
		return obstacle("have the program do without", "what it may be used for is restricted (IORING_REGISTER_RESTRICTIONS)")
	}
	if list := c.place("cq_overflow_list"); r.k.pointer(list) != list {
		return &passing{settle: true, error: obstacle("try again; if it persists, the program does not read its completions",
			"more requests have completed than its queue holds (%d)", c.u32("cq_entries"))}
	}
	if list := c.place("defer_list"); r.k.pointer(list) != list {
		return &passing{error: obstacle("try again when they have completed", "requests wait for all before them (IOSQE_IO_DRAIN)")}
	}
	return nil
}

// findUsers finds the threads that have used the ring, and with them who is to
// make it again.
func (r *ring) findUsers() error {
	submitter := uint64(0)
	if r.k.has("io_ring_ctx", "submitter_task") && r.out.Flags&sys.UringSingleIssuer != 0 {
		submitter = r.ctx.u64("submitter_task")
	}
	account := r.ctx.u64("mm_account")
	var outside error
	r.k.list(r.ctx.place("tctx_list"), r.k.offset("io_tctx_node", "ctx_node"), func(at uint64) {
		node := r.k.object("io_tctx_node", at)
		address := node.u64("task")
		task, known := r.Task(address)
		if !known {
			outside = obstacle("end the process outside that uses it", "a task that is not of the container uses it, too")
			return
		}
		context := r.k.pointer(address + r.k.offset("task_struct", "io_uring"))
		r.users[context] = task
		if address == submitter || submitter == 0 && (r.out.Task == 0 || r.k.pointer(address+r.k.offset("task_struct", "mm")) == account) {
			r.out.Task, r.owner = task.TID, task
		}
		r.ringFDs(context, task)
	})
	if outside != nil {
		return outside
	}
	if submitter != 0 && r.out.Task == 0 {
		task, known := r.Task(submitter)
		if !known {
			return obstacle("close it in the program", "the one thread that may use it has ended (IORING_SETUP_SINGLE_ISSUER)")
		}
		r.out.Task, r.owner = task.TID, task
	}
	slices.SortFunc(r.out.Users, func(a, b *format.IoUringUser) int { return int(a.Task) - int(b.Task) })
	return nil
}

// ringFDs notes the descriptors of the ring that a thread has registered.
func (r *ring) ringFDs(context uint64, task Task) {
	const places = 16 // IO_RINGFD_REG_MAX
	for i, file := range r.k.pointers(context+r.k.offset("io_uring_task", "registered_rings"), places) {
		if file != 0 && r.k.pointer(file+r.k.offset("file", "private_data")) == r.ctx.at {
			r.out.Users = append(r.out.Users, &format.IoUringUser{Task: task.TID, Index: uint32(i)})
		}
	}
}

// checkSteps refuses counters that a restart would take too long to reach.
func (r *ring) checkSteps() error {
	if own := format.IoUringBufferSteps(r.out) + uint32(len(r.out.Requests)); own > r.out.SqHead {
		return obstacle("have the program make a new ring", "it was asked for less (%d requests) than a restart needs to have it where it is (%d)", r.out.SqHead, own)
	}
	if n := format.IoUringSteps(r.out); n > format.MaxIoUringSteps {
		return obstacle("have the program make a new ring now and then, or restart it",
			"it has taken %d requests and completed %d, and a restart can only count there one by one, which is done up to %d", r.out.SqHead, r.out.CqTail, format.MaxIoUringSteps)
	}
	return nil
}
