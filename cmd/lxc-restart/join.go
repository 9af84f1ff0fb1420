package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"lxc-checkpoint/restorer"
)

// join connects our terminal with that of a session of the container until its
// leader ends, or all in it have closed the terminal, as lxc-attach does.
func join(ctx context.Context, s *restorer.Session) error {
	defer s.Master.Close()
	before, err := term.MakeRaw(0)
	if err != nil {
		return fmt.Errorf("set the modes of the terminal on standard input: %w", err)
	}
	defer term.Restore(0, before)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	defer signal.Stop(resized)
	shown := make(chan error, 1)
	go func() {
		_, err := io.Copy(os.Stdout, s.Master)
		if errors.Is(err, unix.EIO) { // nobody has the slave any more
			err = nil
		}
		shown <- err
	}()
	go func() { _, _ = io.Copy(s.Master, os.Stdin) }()
	left := leaves(s.Leader)
	// A change of the size, too, has the program draw its screen again.
	for {
		if err := passSize(s.Master); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil // the session hangs up
		case err := <-shown:
			return err
		case <-left:
			// What it has said at last is still on its way.
			select {
			case err := <-shown:
				return err
			case <-time.After(200 * time.Millisecond):
				return nil
			}
		case <-resized:
		}
	}
}

// leaves tells when a session's leader ends.
func leaves(leader *os.File) <-chan struct{} {
	if leader == nil {
		return nil
	}
	ended := make(chan struct{})
	go func() {
		defer leader.Close()
		for {
			p := []unix.PollFd{{Fd: int32(leader.Fd()), Events: unix.POLLIN}}
			if n, err := unix.Poll(p, -1); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
				close(ended)
				return
			}
		}
	}()
	return ended
}

func passSize(master *os.File) error {
	size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	if err != nil {
		return fmt.Errorf("read the size of the terminal on standard input: %w", err)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		return fmt.Errorf("set the size of the session's terminal: %w", err)
	}
	return nil
}
