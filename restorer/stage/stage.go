// Package stage makes the first process of a container that is restarted: by
// LXC from the container's own config, or natively from the image alone.
package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/tracee"
)

// Need is what a stage has to know.
type Need struct {
	Skeleton *format.Skeleton
	Area     stub.Area
	Highest  int           // highest descriptor number in the image
	Timeout  time.Duration // of each wait
	Log      *slog.Logger
	Job      bool // natively: the first process stays in our session
}

// Stage is where the first process comes from.
type Stage interface {
	// Begin makes the first process, in the container's namespaces and
	// cgroups, seized, stopped, and emptied (stub.Begin).
	Begin(ctx context.Context) (*stub.Task, error)
	// Freeze freezes the container's cgroup, calls detach, which lets the
	// tasks go, and leaves the container as lxc-freeze does.
	Freeze(ctx context.Context, detach func() error) error
	// Running is called when the tasks run.
	Running(ctx context.Context) error
	// Undo removes what Begin made. The tasks have been killed.
	Undo() error
}

// options of the trace: the stubs die with us, so that a restart that is
// killed leaves no half-built container; the kernel drops that at the detach.
var options = tracee.Options{SuspendSeccomp: true, ExitKill: true, TraceClone: true}

// seize stops a process that runs the stub program and takes it over.
func (n Need) seize(ctx context.Context, pid int) (*stub.Task, error) {
	t, err := tracee.Seize(pid, options)
	if err != nil {
		return nil, err
	}
	if err := t.Interrupt(); err != nil {
		return nil, err
	}
	short, cancel := context.WithTimeout(ctx, n.Timeout)
	defer cancel()
	for {
		stop, err := t.Wait(short)
		if err != nil {
			return nil, err
		}
		if stop.Kind == tracee.EventStop {
			break
		}
		if stop.Gone() {
			return nil, fmt.Errorf("the restart's first process %d ended before it was taken over", pid)
		}
		if err := t.Continue(0); err != nil {
			return nil, err
		}
	}
	return stub.Begin(ctx, t, n.Area, n.Highest, n.Timeout)
}

// life is how long the first process waits to be taken over.
func (n Need) life() time.Duration { return n.Timeout + 2*time.Second }

// letEnd lets a killed process end that is our child or that we trace, and tells
// whether it has: its parent hears of it only when its tracer has.
func letEnd(pid int) bool {
	var s unix.WaitStatus
	got, err := unix.Wait4(pid, &s, unix.WNOHANG|unix.WALL, nil)
	if err != nil {
		return errors.Is(err, unix.ECHILD)
	}
	if got == pid && !s.Exited() && !s.Signaled() {
		_ = unix.PtraceCont(pid, 0) // some stop on its way to the end
	}
	return got == pid && (s.Exited() || s.Signaled())
}

// program is a memfd with the stub program.
func (n Need) program() (*os.File, error) {
	fd, err := unix.MemfdCreate("lxc-restart", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd for the restart's first process: %w", err)
	}
	f := os.NewFile(uintptr(fd), "lxc-restart")
	if _, err := f.Write(stub.ELF(n.life())); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func oneLine(b []byte) string {
	return strings.Join(strings.Fields(string(b)), " ")
}
