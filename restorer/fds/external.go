package fds

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// makeExternal opens what the operator says is to be there now (--external).
func makeExternal(_ context.Context, r *Restart, f *file) (int, error) {
	e := f.GetExternal()
	to, err := ExternalOf(r.External, e)
	if err != nil {
		return -1, err
	}
	fd, err := openExternal(e, to, f.Flags)
	if err != nil {
		return -1, fmt.Errorf("%s is to be %s: %w", e.Name, to, err)
	}
	if len(e.Termios) > 0 {
		if err := setTerminal(fd, &format.Terminal{Path: to, Termios: e.Termios}); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return withFlags(fd, f.Flags&^unix.O_DIRECT|keptFlags(fd))
}

// ExternalOf finds what something outside is to be.
func ExternalOf(given map[string]string, e *format.External) (string, error) {
	to, ok := given[e.Name]
	if !ok && e.Name == "tty" {
		return "", &refusal.Refusal{
			Object: "terminal", Reason: "the container was started from one, which it had in common with a shell",
			Remedy: "restart it from a terminal, with --native and --shell-job",
		}
	}
	if !ok {
		return "", &refusal.Refusal{
			Object: e.Name, Reason: "its other end was outside of the container",
			Remedy: fmt.Sprintf("say what it is to be now: --external '%s'=PATH, or --external '%s'=fd:N, a descriptor that lxc-restart has", e.Name, e.Name),
		}
	}
	return to, nil
}

func openExternal(e *format.External, to string, flags uint32) (int, error) {
	number, inherited := strings.CutPrefix(to, "fd:")
	switch {
	case inherited:
		return inheritedFD(e, number, flags)
	case e.Type != 0:
		return connectTo(int(e.Type), to)
	}
	fd, err := unix.Open(to, int(flags)&unix.O_ACCMODE|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENXIO) {
		return -1, fmt.Errorf("it is a FIFO that nobody reads: begin to read it first: %w", err)
	}
	return fd, err
}

// inheritedFD is a copy of a descriptor that we were started with. It is the same
// open file: its flags are the container's from now on.
func inheritedFD(e *format.External, number string, flags uint32) (int, error) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return -1, fmt.Errorf("%q is no number of a descriptor", number)
	}
	have, err := unix.FcntlInt(uintptr(n), unix.F_GETFL, 0)
	if err != nil {
		return -1, fmt.Errorf("that descriptor is not open: redirect it: %w", err)
	}
	want := int(flags) & unix.O_ACCMODE
	if mode := have & unix.O_ACCMODE; mode != unix.O_RDWR && mode != want {
		return -1, errors.New("that descriptor is not open for what the container does with it, reading or writing")
	}
	if e.Type != 0 {
		if typ, err := unix.GetsockoptInt(n, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || typ != int(e.Type) {
			return -1, errors.New("that descriptor is no socket of the type that it was")
		}
	}
	return unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
}

// connectTo connects to a UNIX socket.
func connectTo(typ int, path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connect to it: %w", err)
	}
	return fd, nil
}

// keptFlags are those that what is there now needs: a file is appended to.
func keptFlags(fd int) uint32 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
		return unix.O_APPEND
	}
	return 0
}
