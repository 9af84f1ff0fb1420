package format

import "fmt"

// MaxPty is more pseudo terminals than a kernel gives (NR_UNIX98_PTY_MAX,
// include/linux/tty.h).
const MaxPty = 1 << 20

func (m *PtyMaster) check(who func() string) error {
	const maxTermios, winsize = 64, 8
	const maxQueue = 1 << 20 // the kernel's buffers are of 64 KiB
	switch {
	case badPath(m.GetPath()) || badPath(m.GetDirectory()) || m.GetIndex() >= MaxPty:
		return fmt.Errorf("%s is pseudo terminal %d of %.80q, opened by %.80q", who(), m.GetIndex(), m.GetDirectory(), m.GetPath())
	case len(m.GetTermios()) > maxTermios || len(m.GetWinsize()) > winsize:
		return fmt.Errorf("%s is pseudo terminal %d with impossible settings", who(), m.GetIndex())
	case len(m.GetOutput()) > maxQueue || len(m.GetInput()) > maxQueue:
		return fmt.Errorf("%s is pseudo terminal %d with %d and %d bytes unread", who(), m.GetIndex(), len(m.GetOutput()), len(m.GetInput()))
	}
	return nil
}
