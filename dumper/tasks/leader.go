package tasks

import (
	"lxc-checkpoint/image/format"
)

// endedLeader describes the process's first thread, which has ended while
// others go on: who it was, as others still see it (kill(2) asks for its
// credentials), and its status, which /proc/PID/stat shows. The process's will
// be that of its last thread (synchronize_group_exit, kernel/exit.c).
func (k *looking) endedLeader() (*format.Task, error) {
	const exited = 0xff00 // what exit(2) sets of a wait status
	status := uint32(k.stat.ExitCode)
	if status&^exited != 0 {
		k.refuse("", "dead leader", "its first thread was killed while others went on (a seccomp filter does that, SECCOMP_RET_KILL_THREAD), which this version can't make again", "")
	}
	if k.p.Stopped {
		k.refuse("", "dead leader", "its first thread has ended, and a signal has stopped the others, which this version can't make again",
			"have it go on (kill -CONT), then checkpoint it")
	}
	f := &format.Task{Tid: k.found.Pid, InnerTids: k.below(k.status.NSpid), Name: k.stat.Comm, Ended: true, WaitStatus: status & exited, Files: k.filesID, Fs: k.fsID}
	f.Credentials = credentials(k.status)
	f.Credentials.LsmLabel = k.label(k.p.PID)
	var err error
	f.Scheduling, err = k.scheduling(k.p.PID)
	return f, err
}
