// Command lxc-checkpoint writes the state of a running container into a
// statefile.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/container"
	"lxc-checkpoint/dumper"
	"lxc-checkpoint/freezer"
	"lxc-checkpoint/image/writer"
	"lxc-checkpoint/internal/action"
	"lxc-checkpoint/internal/cli"
	"lxc-checkpoint/internal/outfile"
	"lxc-checkpoint/progress"
)

// The main goroutine keeps the process's first thread: /proc/self shows that
// one's namespaces and root directory, so no other goroutine may get it and
// enter others.
func init() { runtime.LockOSThread() }

func main() {
	// A stop from the terminal would hold the container for as long.
	signal.Ignore(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	o := newOptions()
	done, err := o.parse(os.Args[1:])
	if err == nil && !done {
		if o.all != "" {
			err = checkpointAll(o)
		} else if !isWorker() {
			var code int
			if code, err = guard(); err == nil {
				os.Exit(code)
			}
		} else if o.heir, err = beginWork(); err == nil {
			err = run(o)
		}
	}
	os.Exit(o.tool.Exit(err))
}

const nothing = "nothing was written"

func run(o *options) error {
	ctx, cancel := cli.Context()
	defer cancel()
	if err := cli.NeedCapabilities("CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_KILL"); err != nil {
		return cli.WithState(err, nothing)
	}
	c, err := find(ctx, o)
	if err != nil {
		return cli.WithState(err, nothing)
	}
	before, err := c.Freezer.State()
	if err != nil {
		return cli.WithState(err, nothing)
	}
	wasFrozen := before != freezer.Thawed
	if o.check {
		return cli.WithState(cli.Why(ctx, check(ctx, o, c)), c.Condition(wasFrozen)+"; "+nothing)
	}
	out, err := open(ctx, o)
	if err != nil {
		return cli.WithState(err, c.Condition(wasFrozen)+"; "+nothing)
	}
	stats, err := checkpoint(ctx, o, c, out)
	err = cli.Why(ctx, err)
	remains := out.Remains()
	if e := out.Abort(); e != nil {
		err = errors.Join(err, e)
	}
	if err != nil {
		return cli.WithState(err, c.Condition(wasFrozen)+"; "+remains)
	}
	o.tellLost()
	if o.printStats {
		return json.NewEncoder(os.Stderr).Encode(stats)
	}
	return nil
}

// noteLost notes it once: a container is looked at again where that may help.
func (o *options) noteLost(what string) {
	if !slices.Contains(o.lost, what) {
		o.lost = append(o.lost, what)
	}
}

// tellLost names what a restart will not bring back: harmless things, for which nobody
// would do without a checkpoint, but not without a word.
func (o *options) tellLost() {
	for _, what := range o.lost {
		fmt.Fprintf(os.Stderr, "%s: a restart will not bring back %s\n", o.tool.Name, what)
	}
}

// find finds the container that the options name.
func find(ctx context.Context, o *options) (*container.Container, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout.Duration)
	defer cancel()
	switch {
	case o.tool.Given("cgroup"):
		return container.ByCgroup(ctx, o.cgroup)
	case o.tool.Given("pid"):
		return container.ByPID(ctx, o.pid.N)
	}
	return container.ByName(ctx, o.tool.Common.Name, o.tool.Common.LXCPath)
}

// open opens what the statefile is written to.
func open(ctx context.Context, o *options) (outfile.Output, error) {
	if o.tool.Given("statefile") {
		return outfile.Create(o.statefile)
	}
	if err := cli.Inherited(o.statefd.N); err != nil {
		return nil, err
	}
	return outfile.Use(ctx, o.statefd.N, stalls*o.timeout.Duration)
}

// A reader of the statefd may make us wait this many timeouts for it: it may
// have a user to ask for a password.
const stalls = 6

func checkpoint(ctx context.Context, o *options, c *container.Container, out outfile.Output) (*dumper.Stats, error) {
	log := o.tool.Log
	estimate, err := c.Memory()
	if err != nil {
		return nil, err
	}
	tight, err := outfile.CheckSpace(out, estimate)
	if err != nil {
		return nil, err
	}
	if tight != "" {
		log.Warn(tight)
	}
	log.Info("checkpoint begins", "target", c.String(), "first process", c.InitPID, "cgroup", c.CgroupDir,
		"freezer", c.Freezer.Version(), "memory", outfile.Size(estimate))

	shown := progress.New(os.Stderr, cli.IsTerminal(2) && !o.tool.Common.Quiet)
	defer shown.Done()
	w := writer.New(out, writer.Options{})
	what := o.dumper()
	what.After, what.Progress = o.after(), shown
	if o.kill { // what this host could not restart is never killed
		what.Check = o.restartable(ctx)
	}
	script := &action.Script{Path: o.actionScript, Container: c.Name, LXCPath: c.LXCPath, Log: log}
	if c.Name == "" {
		script.Container = c.String()
	}
	what.At = func(ctx context.Context, step string) error { return script.Run(ctx, step, c.InitPID) }
	if err := what.At(ctx, action.PreDump); err != nil {
		return nil, err
	}
	stats, err := dumper.Dump(ctx, c, w, what)
	if err != nil {
		return nil, err
	}
	if what.After == dumper.Continue {
		if err := what.At(ctx, action.NetworkUnlock); err != nil {
			return nil, err
		}
	}
	log.Info("checkpoint is complete", "written", outfile.Size(uint64(w.BytesOut())))
	return stats, nil
}
