package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// job is a native container that runs as a job of the shell that has called us.
type job struct {
	first *os.File // pidfd of its first process, our child; nil: it does not run
	group int      // our own process group
	modes *unix.Termios
}

// newJob notes how the terminal on standard input is.
func newJob() (*job, error) {
	// Or to give the terminal away, and to take it back, would stop us.
	signal.Ignore(unix.SIGTTOU)
	modes, err := unix.IoctlGetTermios(0, unix.TCGETS2)
	if err != nil {
		return nil, fmt.Errorf("read the modes of the terminal on standard input: %w", err)
	}
	return &job{group: unix.Getpgrp(), modes: modes}, nil
}

// wait waits until the container ends: whoever called us gets the terminal back
// when we end, and must not before. Signals of the terminal are the container's.
func (j *job) wait(ctx context.Context) {
	signal.Ignore(unix.SIGINT, unix.SIGQUIT)
	select {
	case <-leaves(j.first):
	case <-ctx.Done(): // it goes on without us
	}
}

// takeBack takes the terminal back, as it was.
func (j *job) takeBack() {
	_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, j.group)
	_ = unix.IoctlSetTermios(0, unix.TCSETS2, j.modes)
}
