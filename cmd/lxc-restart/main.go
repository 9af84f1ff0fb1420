// Command lxc-restart recreates a container from a statefile.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"lxc-checkpoint/container"
	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/internal/cli"
	"lxc-checkpoint/internal/infile"
	"lxc-checkpoint/internal/links"
	"lxc-checkpoint/progress"
	"lxc-checkpoint/restorer"
	"lxc-checkpoint/restorer/stage"
)

// The main goroutine keeps the process's first thread: /proc/self shows that
// one's namespaces and root directory, so no other goroutine may get it and
// enter others.
func init() { runtime.LockOSThread() }

func main() {
	if len(os.Args) > 1 && os.Args[1] == stage.HookArgument {
		// In an unprivileged container it may not: then packets come in early,
		// as ever.
		_ = links.Deafen()
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == stage.RebootArgument {
		if err := stage.RebootHook(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "lxc-restart: reboot:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	o := newOptions()
	done, err := o.parse(os.Args[1:])
	if err == nil && !done {
		err = run(o)
	}
	os.Exit(o.tool.Exit(err))
}

func run(o *options) error {
	ctx, cancel := cli.Context()
	defer cancel()
	if err := cli.NeedCapabilities("CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE", "CAP_DAC_OVERRIDE",
		"CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_CHROOT", "CAP_KILL"); err != nil {
		return err
	}
	if err := o.inherited(); err != nil { // before we open anything
		return err
	}
	in, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer in.Close()
	if o.check {
		return cli.WithState(cli.Why(ctx, check(ctx, o, in)), "nothing was made")
	}
	if o.shellJob && o.native {
		if o.job, err = newJob(); err != nil {
			return err
		}
		defer o.job.takeBack()
	}
	err = makeRoom(ctx, o, in)
	if err == nil {
		var stats *restorer.Stats
		var session *restorer.Session
		stats, session, err = restart(ctx, o, in)
		if err == nil && o.printStats {
			if err := json.NewEncoder(os.Stderr).Encode(stats); err != nil {
				return err
			}
		}
		switch {
		case session != nil:
			return join(ctx, session)
		case err == nil && o.job != nil:
			o.job.wait(ctx)
		}
	}
	if err != nil {
		return cli.WithState(cli.Why(ctx, err), left(o))
	}
	return nil
}

// open opens what the statefile is read from.
func open(ctx context.Context, o *options) (*infile.Input, error) {
	if o.tool.Given("statefile") {
		return infile.Open(o.statefile)
	}
	if err := cli.Inherited(o.statefd.N); err != nil {
		return nil, err
	}
	return infile.Use(ctx, o.statefd.N, stalls*o.timeout.Duration)
}

// A writer of the statefd may make us wait this many timeouts for it: it may
// have a user to ask for a password.
const stalls = 6

// makeRoom waits until the container of that name is gone, if it is one whose
// checkpoint is being written to our descriptor: it is killed only when we
// have read everything, so everything is kept in a temporary file.
func makeRoom(ctx context.Context, o *options, in *infile.Input) error {
	if o.native {
		// Nobody tells whether the old processes are still there; they are
		// gone when their checkpoint has ended.
		return in.Spool()
	}
	c := o.tool.Common
	state, _, err := container.Query(ctx, c.Name, c.LXCPath)
	if missing := (*container.NotFoundError)(nil); errors.As(err, &missing) {
		if o.rcfile != "" {
			return nil
		}
		missing.Remedy = "a restart needs the container's config and root file system on this host (or --native, which needs no LXC)"
	}
	if err != nil || state == container.Stopped {
		return err
	}
	if in.IsFile() {
		return fmt.Errorf("container %s exists and is %s: stop it first (lxc-stop -n %s)", c.Name, strings.ToLower(state.String()), c.Name)
	}
	o.tool.Log.Info("the old container runs: keeping the statefile until it is gone")
	if err := in.Spool(); err != nil {
		return err
	}
	for begin := time.Now(); ; {
		state, _, err := container.Query(ctx, c.Name, c.LXCPath)
		if err != nil || state == container.Stopped {
			return err
		}
		if waited := time.Since(begin); waited > o.timeout.Duration {
			return fmt.Errorf("the statefile is complete, but the old container %s is still %s %v later: checkpoint it with --kill, or stop it (lxc-stop -n %s)",
				c.Name, strings.ToLower(state.String()), waited.Round(time.Millisecond), c.Name)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// restart restarts the container; session is the one whose terminal is to be
// joined with ours, if one is.
func restart(ctx context.Context, o *options, in *infile.Input) (stats *restorer.Stats, session *restorer.Session, err error) {
	img, err := reader.New(in.Reader())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", in, err)
	}
	defer img.Close()
	shown := progress.New(os.Stderr, cli.IsTerminal(2) && !o.tool.Common.Quiet)
	defer shown.Done()
	what := o.restorer()
	what.Progress = shown
	if o.shellJob && !o.native {
		what.Join = func(s restorer.Session) { session = &s }
	}
	if o.job != nil {
		what.Job = func(first *os.File) { o.job.first = first }
	}
	stats, err = restorer.Restore(ctx, img, what)
	var damage *reader.DamageError
	var version *reader.VersionError
	if errors.As(err, &damage) || errors.As(err, &version) {
		err = fmt.Errorf("%s: %w", in, err)
	}
	return stats, session, err
}

// left says, for the end of a message, what there is of the container now.
func left(o *options) string {
	if o.native {
		return "nothing was left running"
	}
	c := o.tool.Common
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout.Duration)
	defer cancel()
	switch state, _, err := container.Query(ctx, c.Name, c.LXCPath); {
	case err != nil:
		return "nothing was left running"
	case state == container.Stopped:
		return fmt.Sprintf("container %s is stopped", c.Name)
	default:
		return fmt.Sprintf("container %s is %s", c.Name, strings.ToLower(state.String()))
	}
}
