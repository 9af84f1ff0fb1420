package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"lxc-checkpoint/container"
	"lxc-checkpoint/dumper"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/restorer"
)

// errObstacles is for the exit status when the report has said it all.
var errObstacles = errors.New("a checkpoint would not work")

// check tells whether a checkpoint would work. The container goes on as it was.
func check(ctx context.Context, o *options, c *container.Container) error {
	what := o.dumper()
	what.Check = o.restartable(ctx)
	stats, err := dumper.Check(ctx, c, what)
	var list refusal.List
	if errors.As(err, &list) && !o.restarted {
		// What there is of it was not compared with the host.
		err = append(list, notRestartable(restorer.CheckStage(ctx, nil, o.restart()))...)
	}
	if err != nil && !o.json {
		return err
	}
	if err == nil {
		o.tellLost()
	}
	r := refusal.NewReport(c.String(), err)
	if err == nil {
		r.Processes, r.Tasks, r.StoppedNs = stats.Processes, stats.Tasks, stats.Stopped.Nanoseconds()
	}
	if o.json {
		if e := r.Write(os.Stdout); e != nil {
			return e
		}
		if err != nil {
			return errObstacles
		}
		return nil
	}
	if !o.tool.Common.Quiet {
		fmt.Printf("%s: a checkpoint would work: %d processes, %d threads; it was stopped for %.1f ms to look\n",
			r.Container, r.Processes, r.Tasks, float64(r.StoppedNs)/1e6)
	}
	return nil
}

// restartable compares the skeleton of the container with this host, as
// lxc-restart --check would when the container has been killed.
func (o *options) restartable(ctx context.Context) func(*format.Skeleton) error {
	return func(s *format.Skeleton) error {
		o.restarted = true
		return notRestartable(restorer.Check(ctx, s, o.restart())).Err()
	}
}

// restart is the restart that is thought of.
func (o *options) restart() restorer.Checked {
	return restorer.Checked{Alive: true, Options: restorer.Options{
		Name: o.tool.Common.Name, LXCPath: o.tool.Common.LXCPath, Log: o.tool.Log, Timeout: o.timeout.Duration,
		Native: o.tool.Common.Name == "", Cgroup: o.cgroup,
	}}
}

func notRestartable(list refusal.List) refusal.List {
	for _, r := range list {
		r.Kind = "could not be restarted"
	}
	return list
}
