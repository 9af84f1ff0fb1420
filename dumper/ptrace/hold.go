// Package ptrace is the hold: the one owner of everything that changes a
// container while it is checkpointed. It freezes the container's cgroup,
// attaches to every task, thaws the cgroup — each task then stops before it
// executes one instruction of its program — and lets go in the end.
//
// Why not simply frozen: a frozen task can make no system call for us. Why
// freeze at all: the tasks stop as good as together, and none makes a new one
// while we attach. While we hold, the cgroup is thawed: should we die, the
// kernel detaches every task and the container goes on by itself.
package ptrace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lxc-checkpoint/container"
	"lxc-checkpoint/freezer"
	"lxc-checkpoint/tracee"
)

// Held is a container whose tasks are all stopped and traced by us.
type Held struct {
	container *container.Container
	timeout   time.Duration
	worker    *worker
	wasFrozen bool
	// announced: LXC's monitor was told that the container is frozen.
	announced bool
	finished  bool // Finish did all there is to do

	calls     map[int]*tracee.CallSeen // by task, before the first freeze
	sleeps    Sleeps                   // nil: nobody tells of them
	since     int64                    // when the tasks were interrupted
	tasks     map[int]*task            // by tid
	processes []*Process
	endings   []Ending // see SpareAtKill
}

// task is a thread that was attached, or, as long as Thread is nil, has to be
// after the thaw.
type task struct {
	*tracee.Thread
	pid     int  // of its process
	stopped bool // it is in its EventStop
	limit   *Limit
	gone    bool
}

// Process is a thread group of the container. Pids are the host's.
type Process struct {
	PID     int
	Parent  *Process         // nil: its parent is not one of the container's processes
	Threads []*tracee.Thread // the leader first; none of a zombie
	// LeaderEnded: its first thread has ended, others go on. Then the leader is
	// not among Threads, and /proc/PID has no memory, descriptors or namespaces.
	LeaderEnded bool
	Zombie      bool
	// Stopped by a signal (state T) before we came; it will be again.
	Stopped    bool
	StopSignal int
	Command    string // name of the leader
}

// Alive is the host's number of a task of it that has not ended, whose /proc
// shows what the process has: PID, unless its leader has ended.
func (p *Process) Alive() int {
	if p.LeaderEnded {
		return p.Threads[0].TID()
	}
	return p.PID
}

// Hold stops every task of the container within the timeout; nothing of it
// runs until Finish or Release. The timeout also bounds each later wait of
// Held. An error leaves the container as it was. That something cannot be held
// is a *refusal.Refusal or a refusal.List; a task that does not stop in time
// is named in the error. sleeps may be nil: then what our stop makes the kernel
// forget stays forgotten.
func Hold(ctx context.Context, c *container.Container, sleeps Sleeps, timeout time.Duration) (h *Held, err error) {
	h = &Held{container: c, timeout: timeout, sleeps: sleeps, worker: startWorker(), tasks: map[int]*task{}}
	defer func() {
		if err != nil || h.processes == nil { // the latter on a panic
			h.Release(&err)
			h = nil
		}
	}()
	state, err := c.Freezer.State()
	if err != nil {
		return h, err
	}
	// FREEZING counts: somebody told it to freeze, and it stays told.
	h.wasFrozen = state != freezer.Thawed
	if err := h.frozenBelow(); err != nil {
		return h, err
	}
	if err := h.sleepingWorkers(); err != nil {
		return h, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	h.watch()
	defer h.unwatch()
	begin, pause := time.Now(), vforkPause
	for {
		err := h.hold(ctx)
		if err == nil {
			break
		}
		var v *vforkError
		if !errors.As(err, &v) {
			return h, err
		}
		// What was frozen must not run, not even for that moment.
		if h.wasFrozen || time.Since(begin) > timeout/vforkShare || ctx.Err() != nil {
			return h, v.refuse(h)
		}
		// Those that wait stay attached: they stop as soon as they can.
		if err := h.worker.do(h.detachStopped); err != nil {
			return h, err
		}
		time.Sleep(pause)
		pause = min(2*pause, vforkLongest)
	}
	h.processes, err = h.tree()
	return h, err
}

// hold does what Hold does, once.
func (h *Held) hold(ctx context.Context) error {
	h.seeCalls()
	if err := h.interrupting(); err != nil {
		return err
	}
	if err := h.freeze(ctx); err != nil {
		return err
	}
	late := h.stoppedBefore()
	err := h.worker.do(func() error { return h.attachAll(ctx, late) })
	if err != nil {
		return err
	}
	if err := h.thaw(ctx); err != nil {
		return err
	}
	return h.worker.do(func() error { return h.stopAll(ctx) })
}

// freeze freezes the cgroup. LXC's monitor hears of it first: should we be
// killed before the thaw, lxc-unfreeze then thaws, which it does only if the
// monitor thinks that the container is frozen.
func (h *Held) freeze(ctx context.Context) error {
	if h.wasFrozen {
		return h.container.Freezer.Freeze(ctx) // waits if it was FREEZING
	}
	if err := h.container.Announce(ctx, container.Frozen); err != nil {
		return err
	}
	h.announced = true
	return h.container.Freezer.Freeze(ctx)
}

// thaw undoes freeze.
func (h *Held) thaw(ctx context.Context) error {
	if err := h.container.Freezer.Thaw(ctx); err != nil {
		return err
	}
	if h.announced {
		if err := h.container.Announce(ctx, container.Running); err != nil {
			return err
		}
		h.announced = false
	}
	return nil
}

// Processes are the container's processes, parents before their children, the
// root first.
func (h *Held) Processes() []*Process { return h.processes }

// WasFrozen says whether the container was frozen before.
func (h *Held) WasFrozen() bool { return h.wasFrozen }

// Do runs f on the OS thread that traces the container: every call on a
// tracee.Thread belongs into it. It MUST NOT be called from within f.
func (h *Held) Do(f func() error) error { return h.worker.do(f) }

// limit gives a wait of ours its bound, whether or not ctx has ended.
func (h *Held) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), h.timeout)
}

// named says what the container is called, for messages.
func (h *Held) named() string {
	if s := h.container.String(); s != "" {
		return s
	}
	return fmt.Sprintf("cgroup %s", h.container.CgroupDir)
}
