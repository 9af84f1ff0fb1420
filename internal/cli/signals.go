package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Interrupted says which signal ended the work.
type Interrupted struct{ Signal unix.Signal }

func (e *Interrupted) Error() string {
	return fmt.Sprintf("interrupted by signal %d (%s)", int(e.Signal), unix.SignalName(e.Signal))
}

// Context returns a context that TERM, INT, QUIT or HUP ends, so that the
// work is undone in good order; its cause is an *Interrupted. A HUP or INT
// that was ignored when the command began (nohup, a background job) stays
// ignored. A closed pipe is an error of the write, never the end of the
// command: SIGPIPE is caught and dropped, not ignored, because children would
// inherit that.
func Context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	caught := make(chan os.Signal, 4)
	for _, s := range []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(caught, s)
		}
	}
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	go func() {
		s, ok := (<-caught).(unix.Signal)
		if ok {
			cancel(&Interrupted{s})
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// Why is what to say of an error: the signal, if it was one that ended the work
// (ctx is of Context). A wait of ours may end by its own limit in the same moment.
func Why(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause != nil && (errors.Is(err, cause) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return cause
	}
	return err
}

// IsTerminal tells whether a descriptor is a terminal.
func IsTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
