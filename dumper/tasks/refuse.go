package tasks

import (
	"fmt"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"
)

// checkProcess refuses what a process as a whole has and a restart can't make.
func (k *looking) checkProcess() error {
	if k.p.Parent == nil && k.p != k.root && !k.o.ShellJob {
		parent := k.stat.Parent
		k.refuse("", "foreign parent", fmt.Sprintf("its parent, process %d (%s) of the host, is not in the container", parent, procfs.ReadComm(parent)),
			"end the lxc-attach session that it came from, or take it along (--shell-job)")
	}
	return nil
}

// checkTask refuses what a task has and a restart can't make. It comes before
// the first call that we make in the task; ok is false if none may be made.
func (k *looking) checkTask(t *tracee.Thread, status *procfs.TaskStatus) (ok bool, err error) {
	object := ""
	if t.TID() != k.p.PID {
		object = fmt.Sprintf("task %d", k.inside(status.NSpid))
	}
	refuse := func(kind, reason, remedy string) { k.refuse(object, kind, reason, remedy) }
	ok = true
	regs, err := t.Registers()
	if err != nil {
		return false, err
	}
	if !regs.Wide() && !regs.Narrow() {
		refuse("32-bit task", "it runs code of a kind that is neither that of 64-bit programs nor that of i386", "")
		ok = false
	} else if regs.Narrow() {
		if ok, err = t.CanCall(); err != nil {
			return false, err
		}
		if !ok {
			refuse("32-bit task", "nowhere in its code are the bytes 0f 05, the system call instruction that it needs to tell of itself",
				"link it with a C library, which has them by chance")
		}
	}
	if status.ShadowStack {
		refuse("shadow stack", "it runs with a shadow stack", "start it with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off")
	}
	// ENODEV, EINVAL: the kernel has no core scheduling.
	if cookie, err := sys.SchedCoreCookie(t.TID()); err == nil && cookie != 0 {
		refuse("core scheduling", "it has a cookie of core scheduling (PR_SCHED_CORE)", "")
	}
	return ok, nil
}
