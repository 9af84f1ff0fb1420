package dumper

import (
	"context"
	"errors"
	"time"

	"lxc-checkpoint/dumper/ptrace"
	"lxc-checkpoint/refusal"
)

// Some of what stands in the way passes by itself: an unread message of netlink, a
// connection that just ends. For that the container goes on for a moment, and is
// looked at again; the moments grow, to a second and a half in all.
const (
	firstMoment = 10 * time.Millisecond
	lastMoment  = 640 * time.Millisecond
)

// patiently calls look until it succeeds, or what it says stays so.
func patiently(ctx context.Context, o Options, look func() error) error {
	deadline := time.Now().Add(o.Timeout)
	for moment := firstMoment; ; moment *= 2 {
		err := look()
		if !passing(err) || moment > lastMoment || time.Now().Add(moment).After(deadline) {
			return err
		}
		o.Log.Info("what stands in the way may pass: the container goes on for a moment", "moment", moment, "why", err)
		select {
		case <-time.After(moment):
		case <-ctx.Done():
			return err
		}
	}
}

// passing tells whether an error is of refusals that may all pass.
func passing(err error) bool {
	var list refusal.List
	if !errors.As(err, &list) {
		return false
	}
	for _, r := range list {
		if !r.Passing {
			return false
		}
	}
	return len(list) > 0
}

// unlessFrozen makes refusals final for a container that was frozen already: it does
// not go on.
func unlessFrozen(held *ptrace.Held, err error) error {
	var list refusal.List
	if held.WasFrozen() && errors.As(err, &list) {
		for _, r := range list {
			r.Passing = false
		}
	}
	return err
}
