// Package restorer tells the story of a restart: from an image to a container
// that goes on where it stopped.
package restorer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"time"

	"lxc-checkpoint/container"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/internal/action"
	"lxc-checkpoint/internal/trip"
	"lxc-checkpoint/progress"
)

// Options of a restart.
type Options struct {
	Name, LXCPath string // the container to recreate; LXC's own config says how
	Native        bool   // without LXC, from the image alone
	Config        container.Overrides
	// AsCopy: beside the container of the image, which may run: with the host name
	// and the network that its own config gives.
	AsCopy bool
	// Actions are run at each step; nil: none.
	Actions *action.Script
	// Cgroup is where a native restart puts the tasks: a directory of a cgroup
	// hierarchy, or a name below each. Empty: "lxc-checkpoint/NAME".
	Cgroup string
	// External says what is now at each end of something that was outside of the
	// container: a path of this host, or "fd:N".
	External map[string]string
	// Veth says on which interface of this host (a bridge) those of the container hang,
	// by their names in it, in place of what its config says.
	Veth map[string]string
	// AllowChanged takes files that have changed since the checkpoint.
	AllowChanged bool
	Pause        bool // leave it frozen
	CloseTCP     bool // TCP connections end, with ECONNRESET
	// Join gets, when the container runs, a session that came from outside, as by
	// lxc-attach. Nil, and for others: their terminals hang up.
	Join func(Session)
	// Job has a native restart leave the container in our own session, as a shell
	// leaves its jobs, at the terminal that is External's "tty". It gets the first
	// process, a pidfd, when that runs. Nil: the container gets a session of its own.
	Job      func(first *os.File)
	Timeout  time.Duration // bounds each wait for a task; 0: 10 s
	Workers  int           // that decompress; 0: as many as cores
	Log      *slog.Logger  // nil: none
	Progress *progress.Progress
}

// Stats are what a restart took.
type Stats struct {
	Processes   int           `json:"processes"`
	Tasks       int           `json:"tasks"`
	BytesPoured int64         `json:"bytes_poured"`
	Plan        time.Duration `json:"plan_ns"`
	Stage       time.Duration `json:"stage_ns"`
	Build       time.Duration `json:"build_ns"`
	Pour        time.Duration `json:"pour_ns"`
	Finish      time.Duration `json:"finish_ns"`
}

// Restore recreates the container. Until the tasks are let go, an error leaves
// nothing behind.
func Restore(ctx context.Context, img *reader.Reader, o Options) (stats *Stats, err error) {
	// ptrace(2) ties tracees to the thread that seized them. The thread is not
	// given back: it has children whose tracer it was.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	setDefaults(&o)
	stats = new(Stats)
	clock := newClock()

	s, err := img.Skeleton()
	if err != nil {
		return nil, err
	}
	plan, err := NewPlan(s)
	if err != nil {
		return nil, fmt.Errorf("this statefile can't be restarted: %w", err)
	}
	if o.Join != nil && !hasOutsideTerminal(s) {
		return nil, errors.New("no session of the container came from outside, with whose terminal this one could be joined: leave out --shell-job (lxc-checkpoint --shell-job takes such sessions along)")
	}
	if o.Job != nil && !slices.ContainsFunc(s.OpenFiles, func(f *format.OpenFile) bool { return f.GetExternal().GetName() == "tty" }) {
		return nil, errors.New("the container was not saved as a job of a shell: leave out --shell-job (lxc-checkpoint --shell-job saves it so)")
	}
	if err := checkHost(s); err != nil {
		return nil, err
	}
	stats.Plan = clock.lap()

	if err := o.Actions.Run(ctx, action.PreRestore, 0); err != nil {
		return nil, err
	}
	r, err := begin(ctx, img, plan, o) // the first process, in its namespaces
	if err != nil {
		return nil, err
	}
	defer r.undo(&err) // until Go, a failure leaves nothing behind
	defer r.shareCPU()()
	stats.Stage = clock.lap()

	r.setTotal()
	if o.Progress != nil {
		defer o.Progress.Done()
	}

	// First all that several share and all that is inherited, then what is
	// each one's own: a session must exist before its members, a descriptor
	// before its copies, memory before the bytes in it.
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"make the processes", r.makeTree},
		// Before they have memory: it counts where its first user is.
		{"put the processes into their cgroups", r.enterCgroups},
		{"make the mappings", r.mapMemory},
		{"make the descriptors", r.makeFiles},
		// Until here they may be needed: sockets know them as their peers.
		{"end the processes that had ended", r.endZombies},
	} {
		if err := step.do(); err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
		if err := trip.At(step.what); err != nil {
			return nil, err
		}
	}
	stats.Build = clock.lap()

	// Bytes come late: damage that shows only at the end of the statefile
	// still finds nothing that runs.
	poured, err := r.pour()
	if err != nil {
		return nil, err
	}
	stats.BytesPoured, stats.Pour = poured, clock.lap()

	if err := trip.At("pour the bytes"); err != nil {
		return nil, err
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	if err := trip.At("finish"); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := r.startJob(); err != nil {
		return nil, err
	}
	if err := r.letGo(); err != nil {
		return nil, err
	}
	if err := r.at(action.PostResume); err != nil {
		return nil, err
	}
	r.join()
	stats.Finish = clock.lap()
	stats.Processes, stats.Tasks = len(s.Processes), len(r.tasks)
	return stats, nil
}

func setDefaults(o *Options) {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Workers <= 0 {
		o.Workers = runtime.NumCPU()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// errUndone marks nothing by itself: it is joined to what went wrong.
func undone(err, undo error) error {
	if undo == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("and not all of the half-built container could be removed: %w", undo))
}

// at runs the operator's script at a step.
func (r *restart) at(step string) error {
	return r.opts.Actions.Run(r.ctx, step, r.root.PID())
}

type clock struct{ last time.Time }

func newClock() *clock { return &clock{time.Now()} }

func (c *clock) lap() time.Duration {
	now := time.Now()
	d := now.Sub(c.last)
	c.last = now
	return d
}
