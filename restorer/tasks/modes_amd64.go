package tasks

import "golang.org/x/sys/unix"

const (
	sysArchPrctl  = unix.SYS_ARCH_PRCTL
	setThreadArea = unix.PTRACE_SET_THREAD_AREA
)
