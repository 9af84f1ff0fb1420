package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"lxc-checkpoint/container"
	"lxc-checkpoint/dumper"
	"lxc-checkpoint/refusal"
)

// report is what --check --json writes; README.md describes it.
type report struct {
	Container string       `json:"container"`
	Works     bool         `json:"works"`
	Obstacles refusal.List `json:"obstacles"`       // what can't be saved
	Error     string       `json:"error,omitempty"` // any other reason
	Processes int          `json:"processes,omitempty"`
	Tasks     int          `json:"tasks,omitempty"`
	StoppedNs int64        `json:"stopped_ns,omitempty"` // how long it was stopped for the look
}

// errObstacles is for the exit status when the report has said it all.
var errObstacles = errors.New("a checkpoint would not work")

// check tells whether a checkpoint would work. The container goes on as it was.
func check(ctx context.Context, o *options, c *container.Container) error {
	stats, err := dumper.Check(ctx, c, o.dumper())
	if err != nil && !o.json {
		return err
	}
	r := report{Container: c.String(), Works: err == nil, Obstacles: refusal.List{}}
	switch one := (*refusal.Refusal)(nil); {
	case err == nil:
		r.Processes, r.Tasks, r.StoppedNs = stats.Processes, stats.Tasks, stats.Stopped.Nanoseconds()
	case errors.As(err, &r.Obstacles):
	case errors.As(err, &one):
		r.Obstacles = refusal.List{one}
	default:
		r.Error = err.Error()
	}
	if o.json {
		if e := json.NewEncoder(os.Stdout).Encode(r); e != nil {
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
