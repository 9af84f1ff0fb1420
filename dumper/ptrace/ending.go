package ptrace

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/tracee"
)

// Ending is what the kernel writes into a thread's memory when that ends (mm_release,
// kernel/fork.c): zero where set_tid_address(2) said, and FUTEX_OWNER_DIED into the
// robust futexes that it holds. In memory that ends with it nobody sees that. A file
// that is mapped as shared stays, and so does what was written: nscd has the flag
// which says that it runs in its database, and a restart would find the file changed.
type Ending struct {
	Thread       *tracee.Thread
	ClearTID     uint64 // address; 0: not into a file
	RobustList   uint64 // address of the list's head; 0: not into a file
	RobustLength uint64
}

// SpareAtKill has threads forget where, should they be killed.
func (h *Held) SpareAtKill(list []Ending) { h.endings = list }

// forget does what SpareAtKill has asked for; or nothing, if it fails.
func (h *Held) forget(ctx context.Context) (err error) {
	for i, e := range h.endings {
		without := e
		without.ClearTID, without.RobustList = 0, 0
		if err = e.set(ctx, without); err == nil {
			continue
		}
		for _, done := range h.endings[:i+1] {
			err = errors.Join(err, done.set(ctx, done))
		}
		return fmt.Errorf("have task %d forget what the kernel writes at its end: %w", e.Thread.TID(), err)
	}
	return nil
}

// set gives those addresses that e has the values of another one.
func (e Ending) set(ctx context.Context, to Ending) (err error) {
	r, err := e.Thread.Remote(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if e.ClearTID != 0 {
		if _, err := r.Call(unix.SYS_SET_TID_ADDRESS, to.ClearTID); err != nil {
			return err
		}
	}
	if e.RobustList != 0 {
		if _, err := r.Call(unix.SYS_SET_ROBUST_LIST, to.RobustList, e.RobustLength); err != nil {
			return err
		}
	}
	return nil
}
