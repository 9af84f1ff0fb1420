package fds

import (
	"fmt"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/internal/tty"
)

// isPtyMaster recognises what an open of /dev/ptmx has made (minor 2 of the
// terminals' major, Documentation/admin-guide/devices.txt).
func isPtyMaster(f *file) bool {
	_, told := f.info.Get("tty-index")
	return told && f.typ() == unix.S_IFCHR && unix.Major(f.stat.Rdev) == majorTTY && unix.Minor(f.stat.Rdev) == 2
}

// nameSlaves makes the slaves of the container's own masters known as terminals
// by the paths that they have.
func (w *walk) nameSlaves() {
	for _, f := range w.files {
		if !isPtyMaster(f) {
			continue
		}
		if m, st, err := w.master(f); err == nil {
			name := m.Slave()
			w.terminals.byInode[inode{st.Dev, st.Ino}] = name
			w.terminals.byNumber[st.Rdev] = append(w.terminals.byNumber[st.Rdev], name)
		}
	}
}

// master tells which pseudo terminal a master is of, and looks at its slave's
// node. The devpts that it is of is mounted where its ptmx is, or on "pts" beside
// that (devpts_mntget, fs/devpts/inode.c).
func (w *walk) master(f *file) (*format.PtyMaster, *unix.Stat_t, error) {
	text, _ := f.info.Get("tty-index")
	index, err := strconv.ParseUint(text, 10, 20)
	if err != nil {
		return nil, nil, fmt.Errorf("the kernel tells the pseudo terminal's number as %q", text)
	}
	for _, directory := range []string{path.Dir(f.link), path.Join(path.Dir(f.link), "pts")} {
		st, err := statIn(w.root, fmt.Sprintf("%s/%d", directory, index), unix.O_NOFOLLOW)
		if major := unix.Major(st.Rdev); err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && major >= majorPTSFirst && major <= majorPTSLast {
			return &format.PtyMaster{Path: f.link, Directory: directory, Index: uint32(index), Mode: st.Mode & 0o7777, Uid: st.Uid, Gid: st.Gid}, &st, nil
		}
	}
	return nil, nil, f.refuse(fmt.Sprintf("pseudo terminal %d of %s", index, f.link), "its slave is at no path in the container", "mount its devpts on /dev/pts, or end the process")
}

// lookPtyMaster looks at a pseudo terminal by its master, whose ioctls tell the
// modes and the size that both ends share.
func lookPtyMaster(w *walk, f *file) error {
	m, node, err := w.master(f)
	if err != nil {
		return err
	}
	f.Kind = &format.OpenFile_PtyMaster{PtyMaster: m}
	fd, err := f.copy()
	if err != nil {
		return err
	}
	m.Termios, m.Winsize = make([]byte, termiosSize), make([]byte, winsizeSize)
	if err := sys.IoctlBytes(fd, unix.TCGETS2, m.Termios); err != nil {
		return fmt.Errorf("read its modes: %w", err)
	}
	if err := sys.IoctlBytes(fd, unix.TIOCGWINSZ, m.Winsize); err != nil {
		return fmt.Errorf("read its size: %w", err)
	}
	for _, flag := range []struct {
		request uint
		value   *bool
	}{{unix.TIOCGPTLCK, &m.Locked}, {unix.TIOCGPKT, &m.Packet}} {
		n, err := unix.IoctlGetInt(fd, flag.request)
		if err != nil {
			return fmt.Errorf("read its flags: %w", err)
		}
		*flag.value = n != 0
	}
	slave := w.slave(node)
	if slave == nil {
		return lookWithoutSlave(f, m, fd)
	}
	end, err := slave.copy()
	if err != nil {
		return err
	}
	exclusive, err := unix.IoctlGetInt(end, unix.TIOCGEXCL)
	if err != nil {
		return fmt.Errorf("read its flags: %w", err)
	}
	m.Exclusive = exclusive != 0
	return takeQueues(m, fd, end)
}

// slave finds an open file that is the slave whose node this is; nil: none is.
func (w *walk) slave(node *unix.Stat_t) *file {
	for _, f := range w.files {
		if f.stat.Dev == node.Dev && f.stat.Ino == node.Ino && f.Flags&unix.O_PATH == 0 {
			return f
		}
	}
	return nil
}

// lookWithoutSlave looks at a pseudo terminal whose slave nobody has open: if
// somebody had, the master tells of a hang-up.
func lookWithoutSlave(f *file, m *format.PtyMaster, fd int) error {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(p, 0); err != nil {
		return err
	}
	m.HungUp = p[0].Revents&unix.POLLHUP != 0
	if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil || n > 0 {
		return f.refuseNow(fmt.Sprintf("pseudo terminal %d of %s", m.Index, f.link), "what was written to it waits to be read, and its other end is closed", "checkpoint again when the program has read it")
	}
	return nil
}

// takeQueues copies what lies unread between the ends: it is taken out and put
// back, while all who could notice are stopped.
func takeQueues(m *format.PtyMaster, master, slave int) error {
	q, err := tty.Take(master, slave)
	// Whatever happened, what was taken goes back.
	if e := tty.Put(master, slave, q); e != nil && err == nil {
		err = e
	}
	m.Output, m.Input = q.Output, q.Input
	if err != nil {
		return fmt.Errorf("copy what lies unread in pseudo terminal %d: %w", m.Index, err)
	}
	return nil
}
