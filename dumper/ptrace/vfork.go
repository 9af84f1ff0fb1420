package ptrace

import (
	"fmt"
	"time"

	"lxc-checkpoint/internal/procfs"
)

// A parent in vfork(2) waits, deaf to everything but SIGKILL, until its child
// calls execve or exits, which a stopped child never does. That takes
// microseconds as a rule, and longer on a machine that is busy: let all go for a
// moment and try again, for half of the time that there is.
const (
	vforkPause   = 2 * time.Millisecond // doubled by each try
	vforkLongest = 100 * time.Millisecond
	vforkShare   = 2
)

// vforkError is a task that waits for its vfork child.
type vforkError struct{ task *task }

func (e *vforkError) Error() string {
	return fmt.Sprintf("task %d waits for its vfork child", e.task.TID())
}

func (e *vforkError) refuse(h *Held) error {
	pid, tid := e.task.pid, e.task.TID()
	status, err := readStatus(pid, tid)
	if err != nil {
		return err
	}
	return h.refuse(status, tid, "vfork", "it waits for a child that it made by vfork and that has not called execve yet; both use one memory and one stack",
		"try again when the child has called execve or ended")
}

// inVfork says whether a task waits in wait_for_vfork_done (kernel/fork.c),
// which the compiler may have put into its only caller.
func inVfork(pid, tid int) bool {
	b, _ := procfs.ReadFile(fmt.Sprintf("/proc/%d/task/%d/wchan", pid, tid))
	switch string(b) {
	case "wait_for_vfork_done", "kernel_clone", "_do_fork":
		return true
	}
	return false
}
