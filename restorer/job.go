package restorer

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// takeForeground gives the terminal of a job to the group of its processes that
// had it. If that was outside, or has ended, it stays with our own group.
func (r *restart) takeForeground() error {
	if r.opts.Job == nil {
		return nil
	}
	for _, f := range r.plan.Skeleton.OpenFiles {
		e := f.GetExternal()
		if e.GetName() != "tty" || e.ForegroundGroup == 0 {
			continue
		}
		for _, p := range r.plan.Skeleton.Processes {
			if p.Group != e.ForegroundGroup || p.State == format.ProcessState_ZOMBIE {
				continue
			}
			group, err := unix.Getpgid(r.leaders[p.Pid].PID())
			if err != nil {
				return err
			}
			if err := unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, group); err != nil {
				return fmt.Errorf("give the terminal on standard input to the container's processes: %w", err)
			}
			return nil
		}
	}
	return nil
}

// startJob tells who wants it which the first process is.
func (r *restart) startJob() error {
	if r.opts.Job == nil {
		return nil
	}
	fd, err := unix.PidfdOpen(r.root.PID(), 0)
	if err != nil {
		return fmt.Errorf("pidfd of the container's first process: %w", err)
	}
	r.opts.Job(os.NewFile(uintptr(fd), "the container's first process"))
	return nil
}
