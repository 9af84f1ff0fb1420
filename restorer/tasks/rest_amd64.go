package tasks

import "golang.org/x/sys/unix"

const sysPoll int64 = unix.SYS_POLL
