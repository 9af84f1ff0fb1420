package restorer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/restorer/stage"
)

// Checked is what a restart is compared with.
type Checked struct {
	Options
	// Alive: the container that the image is of runs here, and will have ended
	// before the restart. What it has is free then.
	Alive bool
}

// Check tells what is in the way of a restart on this host, all of it, and makes
// nothing. What a restart itself looks at before it makes anything it looks at by
// the same code: NewPlan, checkHost, the stage's look at LXC, and whether files
// are those that they were.
func Check(ctx context.Context, s *format.Skeleton, o Checked) refusal.List {
	setDefaults(&o.Options)
	c := &checker{s: s, o: o, log: o.Log}
	if _, err := NewPlan(s); err != nil {
		c.add("statefile", err)
	}
	c.list = append(c.list, hostObstacles(s)...)
	c.list = append(c.list, missingFeatures(s, o.Options)...)
	c.list = append(c.list, CheckStage(ctx, s, o)...)
	c.checkFiles()
	return c.list
}

// CheckStage is what Check tells of LXC, the container's config and what that
// names on this host. Without an image (nil) it tells as much as it can.
func CheckStage(ctx context.Context, s *format.Skeleton, o Checked) refusal.List {
	setDefaults(&o.Options)
	if s == nil {
		s = &format.Skeleton{Container: &format.Container{}}
	}
	if err := o.hangVeths(); err != nil {
		return refusal.List{{Object: "network", Reason: err.Error(), Remedy: "give that interface to the container in its config (lxc.net), or leave the option out"}}
	}
	need := stage.Need{Skeleton: s, Timeout: o.Timeout, Log: o.Log}
	if o.Native {
		return stage.CheckNative(o.Cgroup, need, o.Veth, o.Alive)
	}
	return stage.CheckLXC(ctx, o.Name, o.LXCPath, o.Config, need, o.Alive, o.AsCopy)
}

// checker is a check under way.
type checker struct {
	s    *format.Skeleton
	o    Checked
	log  *slog.Logger
	list refusal.List
}

func (c *checker) refuse(object, reason, remedy string) {
	c.list = append(c.list, &refusal.Refusal{Object: object, Reason: reason, Remedy: remedy})
}

// add notes each part of an error: a refusal as it is, another one with the
// object that it is about.
func (c *checker) add(object string, err error) {
	var list refusal.List
	var one *refusal.Refusal
	switch joined, ok := err.(interface{ Unwrap() []error }); {
	case errors.As(err, &list):
		c.list = append(c.list, list...)
	case errors.As(err, &one):
		c.list = append(c.list, one)
	case ok:
		for _, e := range joined.Unwrap() {
			c.add(object, e)
		}
	default:
		c.refuse(object, err.Error(), "")
	}
}

// has tells whether the container has a namespace of a kind of its own
// (CLONE_NEW*).
func (c *checker) has(flag uint64) bool { return c.s.Container.CloneFlags&flag != 0 }

// of names the process that has a descriptor table, for messages.
func (c *checker) of(r *refusal.Refusal, table uint32) *refusal.Refusal {
	for _, p := range c.s.Processes {
		for _, k := range p.Tasks {
			if k.Files == table && p.State != format.ProcessState_ZOMBIE {
				r.PID, r.Command = int(p.Pid), k.Name
				return r
			}
		}
	}
	return r
}

// who names a process that has an address space.
func (c *checker) who(r *refusal.Refusal, mm uint32) *refusal.Refusal {
	for _, p := range c.s.Processes {
		if p.Mm == mm && p.State != format.ProcessState_ZOMBIE {
			r.PID, r.Command = int(p.Pid), name(p)
			return r
		}
	}
	return r
}

// descriptor is where an open file is in a table: its number, and the table.
func (c *checker) descriptor(open uint32) (number string, table uint32) {
	for _, t := range c.s.Files {
		for _, d := range t.Descriptors {
			if d.OpenFile == open {
				return fmt.Sprintf("descriptor %d", d.Number), t.Id
			}
		}
	}
	return "a descriptor in flight", 0
}
