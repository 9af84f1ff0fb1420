package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// Sizes in bytes of what an ioctl of a terminal takes (ioctl_tty(2)).
const (
	termiosSize = 44 // struct termios2
	winsizeSize = 8
)

// makeTerminal opens the terminal that has the name now, and sets it up as the
// one of the checkpoint was.
func makeTerminal(_ context.Context, r *Restart, f *file) (int, error) {
	m := f.GetTerminal()
	fd, err := r.openTerminal(m.Path, int(f.Flags))
	if err != nil {
		return -1, err
	}
	if f.Flags&unix.O_PATH != 0 {
		return fd, nil
	}
	if err := setTerminal(fd, m); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return withFlags(fd, f.Flags)
}

func setTerminal(fd int, m *format.Terminal) error {
	if n := len(m.Termios); n == termiosSize {
		if err := sys.IoctlBytes(fd, unix.TCSETS2, m.Termios); err != nil {
			return fmt.Errorf("set the modes of terminal %s: %w", m.Path, err)
		}
	} else if n != 0 {
		return fmt.Errorf("the image has %d bytes of modes for terminal %s, not %d", n, m.Path, termiosSize)
	}
	if n := len(m.Winsize); n == winsizeSize {
		if err := sys.IoctlBytes(fd, unix.TIOCSWINSZ, m.Winsize); err != nil {
			return fmt.Errorf("set the size of terminal %s: %w", m.Path, err)
		}
	} else if n != 0 {
		return fmt.Errorf("the image has %d bytes of size for terminal %s, not %d", n, m.Path, winsizeSize)
	}
	if m.Mode == 0 {
		return nil
	}
	// A login gives its terminal to its user, and takes it from all others.
	if err := unix.Fchown(fd, int(m.Uid), int(m.Gid)); err != nil {
		return fmt.Errorf("give terminal %s to user %d, group %d: %w", m.Path, m.Uid, m.Gid, err)
	}
	if err := unix.Fchmod(fd, m.Mode&0o7777); err != nil {
		return fmt.Errorf("set the mode of terminal %s to %#o: %w", m.Path, m.Mode, err)
	}
	return nil
}

// Majors of terminals (Documentation/admin-guide/devices.txt).
const (
	majorConsole  = 4   // virtual consoles and serial ports
	majorTTY      = 5   // minor 1 is the system's console, 0 "my controlling terminal", 2 makes a new terminal
	majorPTSFirst = 136 // UNIX98 pseudo terminals
	majorPTSLast  = 143
)

// openTerminal opens a terminal of the container by its path, neither blocking
// nor making it anybody's controlling terminal. Which terminal LXC has put
// behind the name is LXC's to say; that it is one is checked before it is
// opened. If it is one of the container's own, it is made.
func (r *Restart) openTerminal(name string, flags int) (int, error) {
	const remedy = "start the container with the terminals it had (lxc.console.path, lxc.tty.max, lxc.pty.max)"
	if err := r.ptyAt(name); err != nil {
		return -1, err
	}
	seen, err := r.lookup(name, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		return -1, fmt.Errorf("the container has no terminal %s now: %s: %w", name, remedy, unix.ENOENT)
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(seen)
	var st unix.Stat_t
	if err := unix.Fstat(seen, &st); err != nil {
		return -1, fmt.Errorf("look at %s: %w", name, err)
	}
	major, minor := unix.Major(st.Rdev), unix.Minor(st.Rdev)
	known := major == majorConsole || major == majorTTY && minor == 1 || major >= majorPTSFirst && major <= majorPTSLast
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || !known {
		return -1, fmt.Errorf("%s was a terminal and is %s: %s", name, describe(identityIs(&st)), remedy)
	}
	if flags&unix.O_PATH == 0 {
		flags = flags&openFlags | unix.O_NOCTTY | unix.O_NONBLOCK
	} else {
		flags &= pathFlags
	}
	fd, err := r.lookup(name, flags)
	if err != nil {
		return -1, fmt.Errorf("%w; if nothing is behind that terminal any more, %s", err, remedy)
	}
	return fd, nil
}

// Terminal makes a terminal the controlling terminal of p, which is the leader
// of its session and has none, or has this one. If another session has the
// terminal, it loses it; this needs CAP_SYS_ADMIN in the host's user namespace.
func (r *Restart) Terminal(p place.Process, t *format.ControllingTerminal) error {
	return r.atTerminal(p, t.GetPath(), func(number uint64) error {
		_, err := p.Call(unix.SYS_IOCTL, number, unix.TIOCSCTTY, 0)
		if errors.Is(err, unix.EPERM) {
			_, err = p.Call(unix.SYS_IOCTL, number, unix.TIOCSCTTY, 1)
		}
		if err != nil {
			return fmt.Errorf("make %s the controlling terminal of process %d (a session that has it can lose it only by CAP_SYS_ADMIN): %w", t.GetPath(), p.PID(), err)
		}
		return nil
	})
}

// Foreground makes a process group the one in the foreground of the controlling
// terminal of p, when all processes are in their groups. p has SIGTTOU blocked, and
// calls the group by number.
func (r *Restart) Foreground(p place.Process, t *format.ControllingTerminal, number uint32) error {
	group := number
	if !r.hasGroup(t.GetForegroundGroup()) {
		// The number of a group that has ended: nothing can be set, and nothing
		// would get a signal.
		r.log.Debug("a terminal's foreground process group has ended", "path", t.GetPath(), "group", t.GetForegroundGroup())
		return nil
	}
	return r.atTerminal(p, t.GetPath(), func(number uint64) error {
		addr, _ := p.Scratch()
		if err := p.Write(addr, binary.NativeEndian.AppendUint32(nil, group)); err != nil {
			return fmt.Errorf("write into process %d: %w", p.PID(), err)
		}
		if _, err := p.Call(unix.SYS_IOCTL, number, unix.TIOCSPGRP, addr); err != nil {
			return fmt.Errorf("make process group %d the foreground of %s: %w", t.GetForegroundGroup(), t.GetPath(), err)
		}
		return nil
	})
}

func (r *Restart) hasGroup(group uint32) bool {
	for _, p := range r.skeleton.Processes {
		if p.Group == group && group != 0 {
			return true
		}
	}
	return false
}

// atTerminal runs fn with the number of a terminal that is open in p meanwhile.
func (r *Restart) atTerminal(p place.Process, name string, fn func(number uint64) error) error {
	fd, held := r.held[name]
	if !held {
		var err error
		if fd, err = r.openTerminal(name, unix.O_RDWR); err != nil {
			return err
		}
		r.held[name] = fd
	}
	sent, err := p.Send([]int{fd})
	if err != nil {
		return fmt.Errorf("send terminal %s into process %d: %w", name, p.PID(), err)
	}
	err = fn(uint64(sent[0]))
	if _, e := p.Call(unix.SYS_CLOSE, uint64(sent[0])); e != nil && err == nil {
		err = fmt.Errorf("close terminal %s in process %d: %w", name, p.PID(), e)
	}
	return err
}
