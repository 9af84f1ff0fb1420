package fds

import (
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// nameOutside makes terminals known whose masters are outside, if they are to be
// taken along: lxc-attach makes a pseudo terminal in the container's devpts for
// the program that it puts in, and keeps the master.
func (w *walk) nameOutside() {
	if !w.ShellJob {
		return
	}
	for _, f := range w.files {
		if w.isHostTerminal(f) {
			w.terminals.host[f.stat.Rdev] = true
			continue
		}
		if !w.isStrangePty(f) {
			continue
		}
		at := inode{f.stat.Dev, f.stat.Ino}
		// The host may have one of the same name, in a devpts of its own.
		if st, err := statIn(w.root, f.link, unix.O_NOFOLLOW); err != nil || (inode{st.Dev, st.Ino}) != at {
			continue
		}
		if _, err := strconv.ParseUint(path.Base(f.link), 10, 20); err != nil {
			continue
		}
		w.terminals.byInode[at] = f.link
		w.terminals.byNumber[f.stat.Rdev] = append(w.terminals.byNumber[f.stat.Rdev], f.link)
		w.outside = append(w.outside, f)
	}
}

// isStrangePty tells whether a file is the slave of a pseudo terminal that is not
// known.
func (w *walk) isStrangePty(f *file) bool {
	major := unix.Major(f.stat.Rdev)
	return f.typ() == unix.S_IFCHR && major >= majorPTSFirst && major <= majorPTSLast && f.info.Flags&unix.O_PATH == 0 &&
		w.terminals.byInode[inode{f.stat.Dev, f.stat.Ino}] == ""
}

// isHostTerminal tells whether a file is a pseudo terminal of the host's devpts:
// the one that a container without LXC was started from. LXC's console is one, too.
func (w *walk) isHostTerminal(f *file) bool {
	var host unix.Stat_t
	return w.ShellJob && w.isStrangePty(f) && unix.Stat("/dev/pts", &host) == nil && host.Dev == f.stat.Dev
}

// lookHostTerminal saves that one: lxc-restart --shell-job puts its own there. Of
// what is typed nothing is saved: it stays with who types.
func (w *walk) lookHostTerminal(f *file, fd int) error {
	e := &format.External{Name: "tty", Termios: make([]byte, termiosSize)}
	f.Kind = &format.OpenFile_External{External: e}
	if err := sys.IoctlBytes(fd, unix.TCGETS2, e.Termios); err != nil {
		return f.refuse("terminal "+f.link, "what is behind it has hung up", "end the process")
	}
	// TIOCGPGRP tells only those whose controlling terminal it is (tty_jobctrl.c).
	stat, err := procfs.ReadTaskStat(f.PID, f.PID)
	if err != nil {
		return err
	}
	e.ForegroundGroup = w.Tasks[stat.Tpgid]
	return nil
}

// outsideMasters describes the masters of these terminals by what was seen of the
// slaves: no descriptor of the container refers to them. What was typed and is not
// read yet stays with who typed it.
func (w *walk) outsideMasters() ([]*format.OpenFile, error) {
	var all []*format.OpenFile
	for _, f := range w.outside {
		index, err := strconv.ParseUint(path.Base(f.link), 10, 20)
		if err != nil {
			return nil, err
		}
		directory, slave := path.Dir(f.link), f.GetTerminal()
		m := &format.PtyMaster{
			Path: path.Join(directory, "ptmx"), Directory: directory, Index: uint32(index), Outside: true,
			Mode: slave.GetMode(), Uid: slave.GetUid(), Gid: slave.GetGid(), Termios: slave.GetTermios(), Winsize: slave.GetWinsize(),
		}
		all = append(all, &format.OpenFile{Id: w.IDs.Next(), Flags: unix.O_RDWR, Kind: &format.OpenFile_PtyMaster{PtyMaster: m}})
	}
	return all, nil
}
