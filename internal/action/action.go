// Package action runs the script that an operator has given (--action-script) at
// the steps of a checkpoint or a restart.
package action

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// The steps. Names and meanings are those of CRIU, whose scripts LXC's
// lxc-checkpoint passes on: one that was written for it finds what it knows.
const (
	PreDump             = "pre-dump"              // nothing was touched yet
	NetworkLock         = "network-lock"          // the container stands still
	PostDump            = "post-dump"             // the statefile is complete, the container still stands still
	NetworkUnlock       = "network-unlock"        // it goes on; at a restart, its network hears again from now on
	PreRestore          = "pre-restore"           // nothing was made yet
	SetupNamespaces     = "setup-namespaces"      // the first process is there, in its namespaces
	PostSetupNamespaces = "post-setup-namespaces" // they are what they were
	PostRestore         = "post-restore"          // all is there again, and nothing runs
	PreResume           = "pre-resume"            // the container runs next
	PostResume          = "post-resume"           // it runs
)

// Script is a program to run at each step; none if Path is empty.
type Script struct {
	Path      string
	Container string // its name
	LXCPath   string
	Log       interface{ Info(string, ...any) }
}

// patience is how long a script that is to end has for it.
const patience = 2 * time.Second

// Run runs the script at a step; pid is the container's first process, 0 if there
// is none. Its arguments are the names of step and container; what it writes goes
// to standard error, since standard output may be a statefd.
func (s *Script) Run(ctx context.Context, step string, pid int) error {
	if s == nil || s.Path == "" {
		return nil
	}
	s.Log.Info("action script", "step", step)
	c := exec.CommandContext(ctx, s.Path, step, s.Container)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	c.Env = append(os.Environ(), "CRTOOLS_SCRIPT_ACTION="+step, "LXC_NAME="+s.Container, "LXC_PATH="+s.LXCPath)
	if pid > 0 {
		c.Env = append(c.Env, fmt.Sprintf("CRTOOLS_INIT_PID=%d", pid))
	}
	// What it starts and leaves, it may leave with our descriptors open.
	c.Cancel = func() error { return c.Process.Signal(unix.SIGTERM) }
	c.WaitDelay = patience
	err := c.Run()
	switch exit := (*exec.ExitError)(nil); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit):
		return fmt.Errorf("action script %s ended at step %s with %s", s.Path, step, exit)
	default:
		return fmt.Errorf("action script at step %s: %w", step, err)
	}
}
