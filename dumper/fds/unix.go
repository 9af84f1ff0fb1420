package fds

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
)

// unixSocket is a UNIX socket that was looked at; whom it is connected with is
// found out when all are known.
type unixSocket struct {
	*format.UnixSocket
	file    *file
	diag    *sys.UnixDiag
	peer    []byte // address of its peer
	pending int    // bytes that it sent and that are unread
}

// lookUnix saves a UNIX socket, and what lies in its queue.
func (w *walk) lookUnix(f *file, fd, typ int, listening bool) error {
	s := &format.UnixSocket{Type: uint32(typ), Listening: listening}
	f.Kind = &format.OpenFile_UnixSocket{UnixSocket: s}
	u := &unixSocket{UnixSocket: s, file: f}
	var err error
	if s.Address, err = sys.UnixAddress(fd); err != nil {
		return err
	}
	u.diag, err = w.unixDiag(f.stat.Ino)
	if errors.Is(err, unix.ENOENT) {
		return f.refuse("UNIX socket", "it was made outside the container's network namespace", asExternal(f, "start the container so that nothing outside is connected to it (lxc-start -d), or end the process"))
	}
	if err != nil {
		return fmt.Errorf("ask the kernel about the UNIX socket (sock_diag; needs CONFIG_UNIX_DIAG): %w", err)
	}
	s.Shutdown = uint32(u.diag.Shutdown)
	w.unixes = append(w.unixes, u)
	w.unixByInode[uint32(f.stat.Ino)] = u
	if listening {
		s.Backlog = u.diag.SendQueue // of a listening socket: its limit (net/unix/diag.c)
	}
	if len(s.Address) > 0 && s.Address[0] != 0 {
		w.findSocketFile(f, s, u.diag)
	}
	if s.Options, err = w.options(f, fd, [3]int{unix.AF_UNIX, typ, 0}, socketOptions, unixOptions); err != nil {
		return err
	}
	if s.PeerCredentials, err = w.peerCredentials(f, fd); err != nil {
		return err
	}
	if u.peer, err = sys.UnixPeerAddress(fd); err != nil && !errors.Is(err, unix.ENOTCONN) {
		return err
	}
	if typ == unix.SOCK_DGRAM {
		if s.QueueLimit, err = w.queueLimit(); err != nil {
			return err
		}
	}
	if listening {
		return nil
	}
	if u.pending, err = unix.IoctlGetInt(fd, unix.TIOCOUTQ); err != nil {
		return err
	}
	return w.lookAtUnixQueue(f, fd, u)
}

// unixDiag asks sock_diag(7) about a socket, in the container's network
// namespace.
func (w *walk) unixDiag(ino uint64) (*sys.UnixDiag, error) {
	if w.net.diag < 0 {
		fd, err := netlinkIn(w.net.pid)
		if err != nil {
			return nil, err
		}
		w.net.diag = fd
	}
	return sys.UnixDiagGet(w.net.diag, uint32(ino))
}

// queueLimit is how many datagrams a new UNIX socket of the container holds.
func (w *walk) queueLimit() (uint32, error) {
	if w.net.limit > 0 {
		return w.net.limit, nil
	}
	err := elsewhere.InNetwork(w.net.pid, func() error {
		// /proc/sys/net is that of the thread that looks.
		b, err := os.ReadFile("/proc/sys/net/unix/max_dgram_qlen")
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
		w.net.limit = uint32(n)
		return err
	})
	return w.net.limit, err
}

// netlinkIn opens a sock_diag socket in the network namespace of a process.
func netlinkIn(pid int) (fd int, err error) {
	err = elsewhere.InNetwork(pid, func() error {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
		return err
	})
	return fd, err
}
