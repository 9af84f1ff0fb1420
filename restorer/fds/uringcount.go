package fds

import (
	"context"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// A new ring begins at 0, and programs keep counters of their own: so it must
// get to where the old one was. The kernel counts what it takes from the
// submission queue and what it puts into the completion queue in words of its
// own (cached_sq_head, cached_cq_tail; io_uring/io_uring.c), which no call sets:
// the way is to go through all the numbers. A request that does nothing costs
// 0.1 to 0.4 µs; it says whether it wants a completion.

// count brings the counters to where they were, but for the requests that come
// after it.
func (u *uring) count(ctx context.Context) error {
	end := u.SqHead - uint32(len(u.requests(false))) - u.bufferSteps()
	submissions, completions := end-u.word(u.params.SQ.Head), u.CqTail-u.word(u.params.CQ.Tail)
	both := min(submissions, completions)
	if err := u.pass(ctx, both, true); err != nil {
		return fmt.Errorf("bring its counters to %d and %d: %w", u.SqHead, u.CqTail, err)
	}
	if err := u.pass(ctx, submissions-both, false); err != nil {
		return fmt.Errorf("bring its counter of submissions to %d: %w", u.SqHead, err)
	}
	if err := u.complete(ctx, completions-both); err != nil {
		return fmt.Errorf("bring its counter of completions to %d: %w", u.CqTail, err)
	}
	if sq, cq := u.word(u.params.SQ.Head), u.word(u.params.CQ.Tail); sq != end || cq != u.CqTail {
		return fmt.Errorf("its counters are at %d and %d, not at %d and %d", sq, cq, end, u.CqTail)
	}
	return nil
}

// atOnce is how many calls the owner makes in one go: they end within a second.
const atOnce = 512

// pass sends n requests that do nothing through the ring.
func (u *uring) pass(ctx context.Context, n uint32, completed bool) error {
	if n == 0 {
		return nil
	}
	flags := byte(sys.SQESkipSuccess)
	round := u.SqEntries
	if completed {
		flags, round = 0, min(round, u.CqEntries)
	}
	u.fill(func(e []byte) { e[1] = flags })
	// As far as the kernel sees, the program has put all of them in.
	u.setWord(u.params.SQ.Tail, u.word(u.params.SQ.Head)+n)
	enter := call(unix.SYS_IO_URING_ENTER, uint64(u.fd), uint64(round))
	calls := []tracee.Call{enter}
	if completed {
		calls = append(calls, u.consume(round))
	}
	if err := u.repeat(ctx, n/round, calls); err != nil {
		return err
	}
	if n%round == 0 {
		return nil
	}
	enter.Args[1] = uint64(n % round)
	err := u.repeat(ctx, 1, []tracee.Call{enter})
	if completed {
		u.setWord(u.params.CQ.Head, u.word(u.params.CQ.Tail))
	}
	return err
}

// fill makes every entry of the submission queue a request, of which each sets
// what is not zero.
func (u *uring) fill(each func(e []byte)) {
	clear(u.sqes)
	size := u.sqeSize()
	for i := range u.SqEntries {
		each(u.sqes[i*size:])
		if u.ArrayOffset != 0 {
			u.setWord(u.ArrayOffset+4*i, i)
		}
	}
}

func (u *uring) sqeSize() uint32 {
	if u.Flags&sys.UringSQE128 != 0 {
		return 2 * sys.UringSQESize
	}
	return sys.UringSQESize
}

// consume is a call by which the owner takes n completions, a power of 2, out of
// its queue: of the few that add to a word of memory.
func (u *uring) consume(n uint32) tracee.Call {
	const (
		wakeOp  = 5 | 128       // FUTEX_WAKE_OP, FUTEX_PRIVATE_FLAG
		addBit  = 1<<28 | 8<<28 // FUTEX_OP_ADD, FUTEX_OP_OPARG_SHIFT
		compare = 0             // FUTEX_OP_CMP_EQ: with no effect, nobody waits
	)
	head := u.mapped + uint64(u.params.CQ.Head)
	op := uint64(addBit) | uint64(bits.TrailingZeros32(n))<<12 | compare
	return call(unix.SYS_FUTEX, head, wakeOp, 0, 0, head, op)
}

// repeat has the owner make the same calls again and again.
func (u *uring) repeat(ctx context.Context, rounds uint32, calls []tracee.Call) error {
	batch := make([]tracee.Call, 0, atOnce)
	for rounds > 0 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		n := min(rounds, uint32(atOnce/len(calls)), max(1, mostAtOnce/u.SqEntries))
		batch = batch[:0]
		for range n {
			batch = append(batch, calls...)
		}
		if err := place.RunAll(u.owner, batch); err != nil {
			return err
		}
		rounds -= n
	}
	return nil
}

// mostAtOnce is how many requests one go has at most.
const mostAtOnce = 1 << 18
