package fds

import (
	"context"
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// People are the processes of the container, by their numbers in it.
type People interface {
	// Leader is the process that has a number; nil if none has it.
	Leader(pid uint32) place.Process
	// With runs fn with a process that has the number of one that has ended,
	// and ends again.
	With(pid uint32, fn func(p place.Process) error) error
}

// Join connects sockets with each other and fills their queues. It comes when
// all open files are made and before they are planted: only now the sockets that
// are an end of a pair, or accepted, come into being.
func (r *Restart) Join(ctx context.Context, people People) (err error) {
	j := &join{Restart: r, people: people, senders: map[string]int{}, closed: map[*format.UnixArrival]int{}}
	defer func() {
		if e := j.end(); e != nil && err == nil {
			err = e
		}
	}()
	for _, step := range []func(*file) error{
		j.connectStream, j.connectWaiting, j.pairDatagrams, j.fillQueue, j.fillArrivals, j.connectDatagrams, j.finishUnix,
	} {
		for _, f := range r.files {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("connect the sockets: %w", err)
			}
			if f.GetUnixSocket() == nil {
				continue
			}
			if err := step(f); err != nil {
				return fmt.Errorf("%s: %w", r.name(f), err)
			}
		}
	}
	for _, step := range []func(*file) error{func(f *file) error { return j.connectTCP(ctx, f) }, j.endTCP} {
		for _, f := range r.files {
			if f.GetTcpConnection() == nil {
				continue
			}
			if err := step(f); err != nil {
				return fmt.Errorf("%s: %w", r.name(f), err)
			}
		}
	}
	for _, f := range r.files {
		if f.GetTcpListener() == nil {
			continue
		}
		if err := j.waitAtListener(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", r.name(f), err)
		}
	}
	for _, f := range r.files {
		if f.GetInetSocket() == nil {
			continue
		}
		if err := j.fillInet(f); err != nil {
			return fmt.Errorf("%s: %w", r.name(f), err)
		}
	}
	return nil
}

// join is a Join under way.
type join struct {
	*Restart
	people    People
	temporary []int          // sockets that are closed in the end
	spots     []*spot        // of theirs
	standIns  uint32         // ports of peers of TCP connections that end at once
	senders   map[string]int // sockets that have sent datagrams, by their address
	// Sockets that had connected, and were closed before they were accepted; they
	// are of temporary.
	closed map[*format.UnixArrival]int
}

func (j *join) end() error {
	var first error
	note := func(err error) {
		if err != nil && first == nil {
			first = err
		}
	}
	for _, fd := range j.temporary {
		closeFD(&fd)
	}
	for _, s := range j.spots {
		note(s.remove())
	}
	for _, f := range j.files {
		note(f.spot.remove())
		f.spot = nil
	}
	return first
}
