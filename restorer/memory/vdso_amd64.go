package memory

import "golang.org/x/sys/unix"

const sysArchPrctl = unix.SYS_ARCH_PRCTL
