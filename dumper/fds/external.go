package fds

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// isExternal tells whether the operator has said that the other end of a file may
// be outside of the container.
func (w *walk) isExternal(f *file) bool {
	if !slices.Contains(w.External, f.link) {
		return false
	}
	w.external[f.link] = true
	return true
}

// lookExternal saves an end of something outside: its name, and no more. What
// waits in it to be read by the container nobody could give it again.
func lookExternal(f *file, typ int) error {
	f.Kind = &format.OpenFile_External{External: &format.External{Name: f.link, Type: uint32(typ)}}
	if f.access() == unix.O_WRONLY {
		return nil
	}
	fd, err := f.copy()
	if err != nil {
		return err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD
	if err != nil {
		return fmt.Errorf("ask how much is unread in it: %w", err)
	}
	if n > 0 {
		return f.refuseNow(f.link, fmt.Sprintf("%d bytes that came from outside wait to be read, which a restart can't give it again", n), "let the program go on until it has read them")
	}
	return nil
}

// asExternal is the remedy for what has its other end outside.
func asExternal(f *file, others string) string {
	return fmt.Sprintf("save it without its other end (--external '%s'), which lxc-restart gives it anew, or %s", f.link, others)
}

// checkExternal refuses names that nothing in the container has.
func (w *walk) checkExternal() (refused refusal.List) {
	for _, name := range w.External {
		if !w.external[name] {
			refused = append(refused, &refusal.Refusal{
				Object: "--external " + name, Reason: "no process of the container has a pipe or UNIX socket of that name open (ls -l /proc/PID/fd shows the names)", Remedy: "leave the option out",
			})
		}
	}
	return refused
}
