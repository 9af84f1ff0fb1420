package fds

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

func makeInotify(_ context.Context, _ *Restart, f *file) (int, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("inotify_init1 (sysctl fs.inotify.max_user_instances may be the limit): %w", err)
	}
	return withFlags(fd, f.Flags)
}

// armInotify adds the watches, late, so that nobody hears of what the restart
// itself does to files. The kernel gives watch descriptors in order
// (inotify_add_to_idr, fs/notify/inotify/inotify_user.c): those that the program
// has removed since are given to a file of ours, and taken back.
func armInotify(r *Restart, f *file) error {
	nobody, err := unix.MemfdCreate("inotify", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(nobody)
	next := uint32(1)
	for _, w := range f.GetInotify().GetWatches() {
		for ; next < w.Wd; next++ {
			if err := addWatch(f.fd, nobody, next, unix.IN_DELETE_SELF); err != nil {
				return err
			}
			if _, err := unix.InotifyRmWatch(f.fd, next); err != nil {
				return err
			}
		}
		if err := r.watch(f.fd, w); err != nil {
			return err
		}
		next++
	}
	return dropEvents(f.fd)
}

func (r *Restart) watch(fd int, w *format.InotifyWatch) error {
	if w.File == nil {
		return watchNothing(fd, w)
	}
	at, err := r.lookupFile(w.File, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != w.File.Mode&unix.S_IFMT {
		return fmt.Errorf("%s, which it watches, is another type of file than at the checkpoint", w.File.Path)
	}
	if err := addWatch(fd, at, w.Wd, w.Mask); err != nil {
		return fmt.Errorf("%s: %w", w.File.Path, err)
	}
	return nil
}

// watchNothing makes a watch of what is gone: of a pipe, whose inode the watch
// keeps when both ends are closed, without an event ever.
func watchNothing(fd int, w *format.InotifyWatch) error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	// To be closed is an event, but not to who isn't told of it yet.
	return addWatch(fd, ends[0], w.Wd, w.Mask)
}

// addWatch watches an open file.
func addWatch(fd, of int, want, mask uint32) error {
	wd, err := unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/self/fd/%d", of), mask)
	if err != nil {
		return fmt.Errorf("watch it, mask %#x (sysctl fs.inotify.max_user_watches may be the limit): %w", mask, err)
	}
	if uint32(wd) != want {
		return fmt.Errorf("the kernel gives watch descriptor %d instead of %d: two of its watches lead to one file now", wd, want)
	}
	return nil
}

// dropEvents reads what the watches that were taken back have left.
func dropEvents(fd int) error {
	for {
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		if err != nil || n == 0 {
			return err
		}
		if _, err := unix.Read(fd, make([]byte, n)); err != nil {
			return fmt.Errorf("read the events of the watches that were taken back: %w", err)
		}
	}
}

// CgroupsChanged tells whether there are watches of cgroups whose events were not
// read.
func (r *Restart) CgroupsChanged() bool {
	for _, f := range r.skeleton.OpenFiles {
		if f.GetInotify().GetCgroupsChanged() {
			return true
		}
	}
	return false
}
