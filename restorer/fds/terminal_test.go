package fds

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// master makes a pseudo terminal in the helper's devpts, and returns the master
// and its slave's path.
func master(t *testing.T, h *helper) (int, string) {
	t.Helper()
	fd, err := unix.Open(h.root("/dev/pts/ptmx"), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	return fd, "/dev/pts/" + string(rune('0'+n))
}

func TestTerminal(t *testing.T) {
	h := newHelper(t)
	m, name := master(t, h)
	// A console is such a terminal under another name.
	must(t, os.WriteFile(h.root("/dev/console"), nil, 0o600))
	must(t, os.Remove(h.root("/dev/console")))
	must(t, os.Symlink(name, h.root("/dev/console")))
	modes := make([]byte, termiosSize)
	must(t, sys.IoctlBytes(m, unix.TCGETS2, modes))
	modes[12] ^= unix.ECHO // c_lflag
	size := []byte{25, 0, 81, 0, 3, 0, 4, 0}
	f := &format.OpenFile{Id: 1, Flags: unix.O_RDWR | unix.O_NONBLOCK, Kind: &format.OpenFile_Terminal{Terminal: &format.Terminal{Path: "/dev/console", Termios: modes, Winsize: size}}}
	g := &format.OpenFile{Id: 2, Flags: unix.O_WRONLY, Kind: &format.OpenFile_Terminal{Terminal: &format.Terminal{Path: name, Termios: modes, Winsize: size}}}
	s := &format.Skeleton{OpenFiles: []*format.OpenFile{f, g}, Files: []*format.Files{at(f, g)},
		Processes: []*format.Process{{Pid: 1, Group: 1, Session: 1}}}
	r := build(t, s, h)
	for i, f := range s.OpenFiles {
		if got := h.call(unix.SYS_FCNTL, uint64(10+i), unix.F_GETFL) &^ largefile; got != uint64(f.Flags) {
			t.Errorf("descriptor %d: flags %#o, want %#o", 10+i, got, f.Flags)
		}
	}
	b := make([]byte, termiosSize)
	h.call(unix.SYS_IOCTL, 10, unix.TCGETS2, h.scratch)
	must(t, h.Read(h.scratch, b))
	if !slices.Equal(b, modes) {
		t.Errorf("modes % x, want % x", b, modes)
	}
	h.call(unix.SYS_IOCTL, 10, unix.TIOCGWINSZ, h.scratch)
	must(t, h.Read(h.scratch, b[:8]))
	if !slices.Equal(b[:8], size) {
		t.Errorf("size % x, want % x", b[:8], size)
	}
	h.call(unix.SYS_WRITE, 11, h.give([]byte("login: ")), 7)
	n, err := unix.Read(m, b)
	if err != nil || string(b[:n]) != "login: " {
		t.Errorf("the master reads %q, %v", b[:n], err)
	}

	ctty := func() string { return strings.Fields(readFile(t, h.root("/proc/1/stat")))[6] }
	if ctty() != "0" {
		t.Errorf("opening it made it the controlling terminal: %s", ctty())
	}
	c := &format.ControllingTerminal{Path: "/dev/console", ForegroundGroup: 1}
	must(t, r.Terminal(h, c))
	must(t, r.Terminal(h, c)) // it may have it already
	must(t, r.Foreground(h, c, c.ForegroundGroup))
	if ctty() == "0" {
		t.Error("no controlling terminal")
	}
	h.call(unix.SYS_IOCTL, 10, unix.TIOCGPGRP, h.scratch)
	must(t, h.Read(h.scratch, b[:4]))
	if g := binary.NativeEndian.Uint32(b); g != 1 {
		t.Errorf("foreground group %d", g)
	}
	must(t, r.Foreground(h, &format.ControllingTerminal{Path: name, ForegroundGroup: 77}, 77)) // has ended
	if n := len(h.open()); n != 2 {
		t.Errorf("%d descriptors are open", n)
	}

	// Another session takes it, as init's children do.
	thief := newHelper(t)
	must(t, r.Terminal(thief, c))
	if ctty() != "0" {
		t.Errorf("two sessions have the terminal: %s", ctty())
	}
}

func TestTerminalThatIsNone(t *testing.T) {
	h := newHelper(t)
	for name, says := range map[string]string{"/dev/console": "has no terminal /dev/console now", "/dev/null": "is the character device 1:3", "/dev/tty": "is the character device 5:0", "/run": "is a directory"} {
		f := &format.OpenFile{Id: 1, Flags: unix.O_RDWR, Kind: &format.OpenFile_Terminal{Terminal: &format.Terminal{Path: name}}}
		_, err := tryBuild(t, &format.Skeleton{OpenFiles: []*format.OpenFile{f}}, h)
		wantError(t, err, says, "lxc.tty.max")
	}
}
