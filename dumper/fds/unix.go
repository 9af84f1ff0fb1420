package fds

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
)

// lookUnix saves a UNIX socket that listens, or is only bound, or neither.
func (w *walk) lookUnix(f *file, fd, typ int, listening bool) error {
	if _, err := unix.Getpeername(fd); err == nil {
		return f.refuse("connected UNIX socket", "connections between sockets are not checkpointed yet", "have the program close it, or end it, before the checkpoint")
	} else if !errors.Is(err, unix.ENOTCONN) {
		return err
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(poll, 0); err != nil {
		return err
	}
	// A stream socket that is not connected reports POLLHUP, and with it POLLIN.
	if poll[0].Revents&unix.POLLIN != 0 && poll[0].Revents&unix.POLLHUP == 0 {
		what := "unread messages in it"
		if listening {
			what = "connections that wait to be accepted"
		}
		return f.refuse("UNIX socket", "there are "+what+", which are not checkpointed yet", "let the program go on until it has read them")
	}
	s := &format.UnixSocket{Type: uint32(typ), Listening: listening}
	f.Kind = &format.OpenFile_UnixSocket{UnixSocket: s}
	var err error
	if s.Address, err = sys.UnixAddress(fd); err != nil {
		return err
	}
	d, err := w.unixDiag(f.stat.Ino)
	if err != nil {
		return fmt.Errorf("ask the kernel about the UNIX socket (sock_diag; needs CONFIG_UNIX_DIAG): %w", err)
	}
	if listening {
		s.Backlog = d.SendQueue // of a listening socket: its limit (net/unix/diag.c)
	}
	if len(s.Address) > 0 && s.Address[0] != 0 {
		w.findSocketFile(f, s, d)
	}
	s.Options, err = w.options(fd, [3]int{unix.AF_UNIX, typ, 0}, socketOptions, unixOptions)
	return err
}

// findSocketFile finds the file that the socket was bound to: the address may
// be relative, or the file gone.
func (w *walk) findSocketFile(f *file, s *format.UnixSocket, d *sys.UnixDiag) {
	address := string(s.Address)
	candidates := []string{address}
	for _, h := range f.holders {
		for _, base := range []string{"root", "cwd"} {
			if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", h.PID, base)); err == nil {
				candidates = append(candidates, path.Join(dir, address))
			}
		}
	}
	for _, c := range candidates {
		if !path.IsAbs(c) {
			continue
		}
		fd, err := unix.Openat2(w.root, c, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
		if err != nil {
			continue
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		unix.Close(fd)
		if err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK || uint32(st.Ino) != d.FileInode {
			continue
		}
		s.Path, s.Mode, s.Uid, s.Gid = path.Clean(c), st.Mode&0o7777, st.Uid, st.Gid
		return
	}
}

// unixDiag asks sock_diag(7) about a socket, in the container's network
// namespace.
func (w *walk) unixDiag(ino uint64) (*sys.UnixDiag, error) {
	if w.diag < 0 {
		fd, err := netlinkIn(w.First)
		if err != nil {
			return nil, err
		}
		w.diag = fd
	}
	return sys.UnixDiagGet(w.diag, uint32(ino))
}

// netlinkIn opens a sock_diag socket in the network namespace of a process.
func netlinkIn(pid int) (fd int, err error) {
	err = elsewhere.Run(func() error {
		ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(ns)
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the container's network namespace: %w", err)
		}
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
		return err
	})
	return fd, err
}
