package fds

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// terminals are the console and ttys that LXC gave the container, by what they
// are behind their names: pseudo terminals whose masters the monitor holds.
type terminals struct {
	byInode map[inode]string
	// Several can have one device number: LXC's console is of another devpts
	// than the container's ttys.
	byNumber map[uint64][]string
	// Of the host, that the container was started from (--shell-job), by number.
	host map[uint64]bool
}

// numbered names the terminal that has a device number; of several, the one
// that isOpen knows. ok is false if there is none, or if it can't be told.
func (t terminals) numbered(number uint64, isOpen func(name string) bool) (name string, ok bool) {
	names := t.byNumber[number]
	if len(names) == 1 {
		return names[0], true
	}
	for _, n := range names {
		if isOpen(n) {
			return n, true
		}
	}
	return "", false
}

// findTerminals looks for the names that LXC uses (lxc.tty.dir puts them into a
// directory; /dev has links then).
func (w *walk) findTerminals() terminals {
	t := terminals{byInode: map[inode]string{}, byNumber: map[uint64][]string{}, host: map[uint64]bool{}}
	names := []string{"/dev/console", "/dev/lxc/console"}
	for i := 1; i <= 63; i++ {
		names = append(names, fmt.Sprintf("/dev/tty%d", i), fmt.Sprintf("/dev/lxc/tty%d", i))
	}
	for _, name := range names {
		st, err := statIn(w.root, name, 0)
		if err != nil || !isTerminalNumber(st.Mode, st.Rdev) {
			continue
		}
		if _, have := t.byInode[inode{st.Dev, st.Ino}]; !have {
			t.byInode[inode{st.Dev, st.Ino}] = name
			t.byNumber[st.Rdev] = append(t.byNumber[st.Rdev], name)
		}
	}
	return t
}

const (
	majorTTY      = 5
	majorPTSFirst = 136
	majorPTSLast  = 143
)

func isTerminalNumber(mode uint32, rdev uint64) bool {
	major := unix.Major(rdev)
	return mode&unix.S_IFMT == unix.S_IFCHR && (major == 4 || major == majorTTY && unix.Minor(rdev) != 2 || major >= majorPTSFirst && major <= majorPTSLast)
}

func isTerminal(f *file) bool { return isTerminalNumber(f.stat.Mode, f.stat.Rdev) }

// Sizes in bytes of what the ioctls give (ioctl_tty(2)).
const (
	termiosSize = 44 // struct termios2
	winsizeSize = 8
)

func lookTerminal(w *walk, f *file) error {
	if w.isHostTerminal(f) {
		fd, err := f.copy()
		if err != nil {
			return err
		}
		return w.lookHostTerminal(f, fd)
	}
	path, ok := w.terminals.byInode[inode{f.stat.Dev, f.stat.Ino}]
	if unix.Major(f.stat.Rdev) == majorTTY && unix.Minor(f.stat.Rdev) == 0 {
		// /dev/tty stands for the controlling terminal of whoever opened it.
		fd, err := f.copy()
		if err != nil {
			return err
		}
		number, err := unix.IoctlGetUint32(fd, unix.TIOCGDEV)
		if err != nil {
			return f.refuse("terminal "+f.link, "what is behind it has hung up", "end the process")
		}
		device := unix.Mkdev(number>>8&0xfff, number&0xff|number>>12&0xfff00)
		if w.terminals.host[device] {
			return w.lookHostTerminal(f, fd)
		}
		path, ok = w.terminals.numbered(device, func(name string) bool {
			return slices.ContainsFunc(w.files, func(o *file) bool {
				return o.Table.ID == f.Table.ID && w.terminals.byInode[inode{o.stat.Dev, o.stat.Ino}] == name
			})
		})
	}
	if !ok {
		return f.refuse("terminal "+f.link, "it is not the console or a tty that LXC gave the container", "end the session that it belongs to, or take it along if that is one of lxc-attach or a shell without LXC (--shell-job)")
	}
	t := &format.Terminal{Path: path, Termios: make([]byte, termiosSize), Winsize: make([]byte, winsizeSize)}
	f.Kind = &format.OpenFile_Terminal{Terminal: t}
	if f.OpenFile.Flags&unix.O_PATH != 0 {
		t.Termios, t.Winsize = nil, nil
		return nil
	}
	if unix.Major(f.stat.Rdev) >= majorPTSFirst { // /dev/tty's node is not the terminal's
		t.Mode, t.Uid, t.Gid = f.stat.Mode&0o7777, f.stat.Uid, f.stat.Gid
	}
	fd, err := f.copy()
	if err != nil {
		return err
	}
	if err := sys.IoctlBytes(fd, unix.TCGETS2, t.Termios); err != nil {
		return f.refuse("terminal "+f.link, "what is behind it has hung up", "end the process")
	}
	return sys.IoctlBytes(fd, unix.TIOCGWINSZ, t.Winsize)
}
