package ptrace

import (
	"fmt"
	"os"
	"strconv"

	"lxc-checkpoint/internal/procfs"
)

// uncollected tells of a dead process that keeps its pid namespace, and with it
// the namespace's first process, from ending: its parent is outside and does not
// wait for it (zap_pid_ns_processes of kernel/pid_namespace.c collects the
// namespace's own children only). lxc-attach that was killed leaves such a one
// where the init of the host, which inherits it, does not collect what it
// inherits, as that of many a container does. "" if there is none.
//
// To which namespace a dead one belongs the kernel does not tell any more; that
// it is deeper than its parent's is all that is left to see.
func uncollected() string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := procfs.ReadStat(pid)
		if err != nil || stat.State != 'Z' || stat.Parent == 0 {
			continue
		}
		dead, err := procfs.ReadStatus(pid)
		if err != nil {
			continue
		}
		if parent, err := procfs.ReadStatus(stat.Parent); err == nil && len(parent.NSpid) < len(dead.NSpid) {
			return fmt.Sprintf("; it may wait for process %d (%s), which is dead, but its parent outside, process %d (%s), has not collected it: end that one",
				pid, stat.Comm, stat.Parent, procfs.ReadComm(stat.Parent))
		}
	}
	return ""
}
