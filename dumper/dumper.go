// Package dumper tells the story of a checkpoint: from a running container to
// a complete statefile.
package dumper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"lxc-checkpoint/container"
	"lxc-checkpoint/dumper/bpf"
	"lxc-checkpoint/dumper/fds"
	"lxc-checkpoint/dumper/memory"
	"lxc-checkpoint/dumper/ptrace"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/writer"
	"lxc-checkpoint/internal/action"
	"lxc-checkpoint/internal/heir"
	"lxc-checkpoint/internal/links"
	"lxc-checkpoint/progress"
	"lxc-checkpoint/refusal"
)

// After says what becomes of the container after the checkpoint.
type After = ptrace.After

// What becomes of the container.
const (
	Continue = ptrace.Thaw  // it goes on; or stays frozen, if it was
	Kill     = ptrace.Kill  // every process of it is killed
	Pause    = ptrace.Pause // it stands frozen, as lxc-freeze leaves it
)

// Options of a checkpoint.
type Options struct {
	After      After
	Timeout    time.Duration // bounds each wait for the container; 0: 10 s
	Workers    int           // that read and compress; 0: as many as cores
	Tool       string        // version of the program, for the header
	Log        *slog.Logger  // nil: none
	Progress   *progress.Progress
	RefuseTCP  bool // refuse every TCP connection
	ShellJob   bool // take processes along that lxc-attach has put in, with their terminals
	WithoutBPF bool // have tasks tell by themselves what eBPF could
	// Heir puts back what was done to sockets if we are killed. Nil: nobody does.
	Heir       *heir.Testator
	MaxDeleted uint64   // bytes that a removed file may hold; 0: no limit
	External   []string // pipes and UNIX sockets whose other end may be outside, by name
	// ExternalMounts are places in the container where something is mounted that
	// nobody makes again.
	ExternalMounts []string
	// At is called at steps (internal/action); an error of it ends the checkpoint.
	// nil: none.
	At func(ctx context.Context, step string) error
	// Lost is told what a restart will not bring back though nothing is refused, a
	// sentence each; nil: nobody is.
	Lost func(what string)
	// Check looks at the skeleton before anything is written; an error of it
	// ends the checkpoint. nil: none.
	Check func(*format.Skeleton) error
	// Forks says in which order a restart would fork: so copy-on-write memory
	// that processes share can stay shared. nil: each gets its own.
	Forks func(*format.Skeleton) ([]format.Fork, error)
}

// Stats are what a checkpoint took.
type Stats struct {
	Processes    int           `json:"processes"`
	Tasks        int           `json:"tasks"`
	Pages        memory.Counts `json:"pages"`
	BytesRead    uint64        `json:"bytes_read"`    // of memory
	BytesWritten int64         `json:"bytes_written"` // of the statefile
	// Stopped is how long nothing of the container ran: from the order to
	// freeze until it was let go, killed or left frozen. The others are steps
	// of it.
	Stopped time.Duration `json:"stopped_ns"`
	Hold    time.Duration `json:"hold_ns"`   // freeze it and attach to every task
	Look    time.Duration `json:"look_ns"`   // find out everything but the bytes
	Write   time.Duration `json:"write_ns"`  // write that, and the bytes
	Commit  time.Duration `json:"commit_ns"` // until they are on the disk
	Finish  time.Duration `json:"finish_ns"` // let it go, kill it or leave it frozen
}

// Dump writes the state of a running container to w. An error leaves the
// container as it was before; what of it can't be saved is a refusal.List,
// and then not a byte was written. The container is killed or paused only
// when w is complete and durable (writer.Commit).
func Dump(ctx context.Context, c *container.Container, w *writer.Writer, o Options) (stats *Stats, err error) {
	setDefaults(&o)
	stats = new(Stats)
	clock := newClock()

	teller := openTeller(o) // before the freeze: to load it takes its time
	defer teller.Close()
	locked := false
	err = patiently(ctx, o, func() error {
		clock.lap()
		return dump(ctx, c, w, o, teller, stats, clock, &locked)
	})
	if err != nil {
		return nil, err
	}
	return stats, nil
}

// dump is one try. If it finds what can't be saved, it has written nothing. locked
// says that the operator's script has locked the network.
func dump(ctx context.Context, c *container.Container, w *writer.Writer, o Options, teller *bpf.Teller, stats *Stats, clock *clock, locked *bool) (err error) {
	held, err := ptrace.Hold(ctx, c, teller, o.Timeout) // freeze, seize every thread, thaw: nothing runs
	if err != nil {
		return err
	}
	defer held.Release(&err) // lets go on every path
	connections := &fds.Connections{Heir: o.Heir}
	defer release(connections, &err) // before that
	stats.Hold = clock.lap()
	if !*locked {
		if err := o.At(ctx, action.NetworkLock); err != nil {
			return err
		}
		*locked = true
	}

	s, contents, err := look(ctx, c, held, connections, teller, o) // everything but the bytes; all refusals at once
	if err != nil {
		return unlessFrozen(held, err)
	}
	defer contents.Close()
	if o.Check != nil {
		if err := o.Check(s); err != nil {
			return notRestartable(err)
		}
	}
	stats.Look = clock.lap()

	// First the skeleton, then the bytes: a restart from a pipe builds the
	// processes before the memory for them arrives.
	o.Progress.SetTotal(contents.Estimate())
	if err := w.Skeleton(s); err != nil {
		return err
	}
	if stats.Pages, err = contents.Pump(ctx, memory.Writers{New: func() memory.PageWriter { return w.Batch() }, EndInherited: w.EndInherited}, o.Workers, o.Progress); err != nil {
		return err
	}
	stats.Write = clock.lap()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.Commit(); err != nil { // durable before anything is killed
		return err
	}
	stats.Commit = clock.lap()
	if err := o.At(ctx, action.PostDump); err != nil {
		return fmt.Errorf("the statefile is complete, but %w", err)
	}

	if err := finish(ctx, held, connections, o.After); err != nil {
		return err
	}
	stats.Finish = clock.lap()
	stats.Stopped = stats.Hold + stats.Look + stats.Write + stats.Commit + stats.Finish
	stats.count(s)
	stats.BytesRead, stats.BytesWritten = stats.Pages.BytesRead, w.BytesOut()
	return nil
}

// finish ends the hold. TCP connections stay silent if their processes are to be
// killed, and so that nobody answers their peers in their place, the network does.
func finish(ctx context.Context, held *ptrace.Held, connections *fds.Connections, after After) (err error) {
	if after != Kill {
		if err := connections.Release(); err != nil {
			return err
		}
		return held.Finish(ctx, after)
	}
	connect := func() {}
	if connections.Outside {
		if connect, err = links.Disconnect(held.Processes()[0].Alive()); err != nil {
			return err
		}
	}
	if err := connections.Mute(); err != nil {
		connect()
		return err
	}
	if err := held.Finish(ctx, Kill); err != nil {
		connect()
		return err
	}
	connections.Close()
	return nil
}

func release(connections *fds.Connections, err *error) {
	if e := connections.Release(); e != nil && *err == nil {
		*err = e
	}
}

// Check looks at a running container as Dump does, and lets it go: an error says
// why a checkpoint would fail, a refusal.List all that can't be saved. Nothing is
// written. Of the stats, Hold, Look and Stopped are told, and the numbers of tasks.
func Check(ctx context.Context, c *container.Container, o Options) (stats *Stats, err error) {
	setDefaults(&o)
	stats = new(Stats)
	clock := newClock()

	teller := openTeller(o)
	defer teller.Close()
	var s *format.Skeleton
	err = patiently(ctx, o, func() (err error) {
		clock.lap()
		s, err = check(ctx, c, o, teller, stats, clock)
		return err
	})
	if err != nil {
		return nil, err
	}
	stats.count(s)
	if o.Check != nil {
		if err := o.Check(s); err != nil {
			return nil, notRestartable(err)
		}
	}
	return stats, nil
}

// check is one look.
func check(ctx context.Context, c *container.Container, o Options, teller *bpf.Teller, stats *Stats, clock *clock) (s *format.Skeleton, err error) {
	held, err := ptrace.Hold(ctx, c, teller, o.Timeout)
	if err != nil {
		return nil, err
	}
	defer held.Release(&err)
	connections := &fds.Connections{Heir: o.Heir}
	defer release(connections, &err)
	stats.Hold = clock.lap()

	s, contents, err := look(ctx, c, held, connections, teller, o)
	if err != nil {
		return nil, unlessFrozen(held, err)
	}
	contents.Close()
	stats.Look = clock.lap()
	if err := finish(ctx, held, connections, Continue); err != nil {
		return nil, err
	}
	stats.Stopped = stats.Hold + stats.Look + clock.lap()
	return s, nil
}

// notRestartable is the error of a check of the skeleton; refusals stay as they are.
func notRestartable(err error) error {
	var list refusal.List
	if errors.As(err, &list) {
		return list
	}
	return fmt.Errorf("this could not be restarted: %w", err)
}

// openTeller loads the eBPF program that tells facts of tasks; nil where the
// kernel can't: then the tasks are made to tell them themselves.
func openTeller(o Options) *bpf.Teller {
	var t *bpf.Teller
	err := errors.New("it is not wanted")
	if !o.WithoutBPF {
		t, err = bpf.Open()
	}
	if err != nil {
		o.Log.Info("no eBPF: tasks will be asked; Landlock, session keyrings, and whether a timer stands at a time of the day, they can't tell", "why", err)
	}
	return t
}

func setDefaults(o *Options) {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Workers <= 0 {
		o.Workers = runtime.NumCPU()
	}
	if o.At == nil {
		o.At = func(context.Context, string) error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func (s *Stats) count(k *format.Skeleton) {
	s.Processes = len(k.Processes)
	for _, p := range k.Processes {
		s.Tasks += len(p.Tasks)
	}
}

type clock struct{ last time.Time }

func newClock() *clock { return &clock{time.Now()} }

func (c *clock) lap() time.Duration {
	now := time.Now()
	d := now.Sub(c.last)
	c.last = now
	return d
}
