package dumper

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/tasks"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// lookAtFs looks at the root directories, working directories and umasks.
func (l *looking) lookAtFs() error {
	for _, o := range l.fs {
		root, namespace := l.rootOf(o.PID)
		fs := &format.Fs{Id: o.ID, MountNamespace: namespace}
		for _, d := range []struct {
			link, what string
			to         *string
			removed    *uint32
		}{
			{"root", "root directory", &fs.Root, &fs.RootMemory},
			{"cwd", "working directory", &fs.Cwd, &fs.CwdMemory},
		} {
			var err error
			if *d.to, *d.removed, err = l.directory(root, o, d.link, d.what); err != nil {
				return fmt.Errorf("process %d (%s): %s: %w", o.NSPID, o.Command, d.what, err)
			}
		}
		status, err := procfs.ReadStatus(o.PID)
		if err != nil {
			return fmt.Errorf("process %d (%s): %w", o.NSPID, o.Command, err)
		}
		fs.Umask = status.Umask
		l.skeleton.Fs = append(l.skeleton.Fs, fs)
	}
	return nil
}

// directory reads a link to a directory: its path, and its number if it was
// removed. It refuses one that a restart would not find at that path.
func (l *looking) directory(root *view.Root, o tasks.Object, link, what string) (string, uint32, error) {
	name := fmt.Sprintf("/proc/%d/%s", o.PID, link)
	path, err := os.Readlink(name)
	if err != nil {
		return "", 0, err
	}
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return "", 0, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	removed, err := l.objects.Of(o.PID, name, path, &st)
	if err != nil {
		return "", 0, err
	}
	if removed != nil {
		return strings.TrimSuffix(path, " (deleted)"), removed.Message.GetId(), nil
	}
	there, err := root.Stat(path)
	if err == nil && view.SameFile(&there, &st) {
		return path, 0, nil
	}
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
		return "", 0, err
	}
	reason := "at its path there is another one now: it was renamed over or mounted over"
	if st.Nlink == 0 || strings.HasSuffix(path, " (deleted)") {
		reason = "it was removed, so a restart could not find it"
	}
	l.refuse(refusal.List{{
		PID: o.NSPID, Command: o.Command, Object: what + " " + path, Kind: "hidden directory",
		Reason: reason, Remedy: "restart the program from a directory that exists",
	}})
	return path, 0, nil
}
