package tasks

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// credentials takes them from the status file: all but securebits, which no
// file shows.
func credentials(s *procfs.TaskStatus) *format.Credentials {
	return &format.Credentials{
		Uid: s.UIDs[0], Euid: s.UIDs[1], Suid: s.UIDs[2], Fsuid: s.UIDs[3],
		Gid: s.GIDs[0], Egid: s.GIDs[1], Sgid: s.GIDs[2], Fsgid: s.GIDs[3],
		Groups:         s.Groups,
		CapInheritable: s.CapInh,
		CapPermitted:   s.CapPrm,
		CapEffective:   s.CapEff,
		CapBounding:    s.CapBnd,
		CapAmbient:     s.CapAmb,
		NoNewPrivs:     s.NoNewPrivs,
	}
}

// label is the task's security context; "" where no security module has one:
// then no task has (security_getprocattr, security/security.c).
func (l *Looker) label(tid int) string {
	if l.noLabels {
		return ""
	}
	b, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/attr/current", tid))
	l.noLabels = errors.Is(err, unix.EINVAL)
	return strings.ToValidUTF8(strings.TrimRight(string(b), "\x00\n"), "?")
}
