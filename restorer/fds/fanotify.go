package fds

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

func makeFanotify(_ context.Context, _ *Restart, f *file) (int, error) {
	g := f.GetFanotify()
	fd, err := unix.FanotifyInit(uint(g.GetFlags())|unix.FAN_CLOEXEC, uint(g.GetEventFlags()))
	if err != nil {
		return -1, fmt.Errorf("fanotify_init, flags %#x (sysctl fs.fanotify.max_user_groups may be the limit): %w", g.GetFlags(), err)
	}
	return withFlags(fd, f.Flags)
}

// armFanotify makes the marks, late, so that nobody hears of what the restart itself
// does to files.
func armFanotify(r *Restart, f *file) error {
	for _, m := range f.GetFanotify().GetMarks() {
		if err := r.mark(f.fd, m); err != nil {
			return err
		}
	}
	return dropFanotify(f.fd)
}

func (r *Restart) mark(fd int, m *format.FanotifyMark) (err error) {
	var at int
	path := m.Mountpoint
	if m.File == nil {
		at, err = r.lookupIn(m.MountNamespace, path, unix.O_PATH)
	} else {
		path = m.File.Path
		at, err = r.lookupFile(m.File, unix.O_PATH|unix.O_NOFOLLOW)
	}
	if err != nil {
		return err
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return err
	}
	if m.File != nil && st.Mode&unix.S_IFMT != m.File.Mode&unix.S_IFMT {
		return fmt.Errorf("%s, which it has marked, is another type of file than at the checkpoint", path)
	}
	add := func(flags uint32, mask uint64) error {
		if mask == 0 {
			return nil
		}
		all := unix.FAN_MARK_ADD | m.Kind | m.Flags&format.FanMarkEvictable | flags
		if err := unix.FanotifyMark(fd, uint(all), mask, unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", at)); err != nil {
			return fmt.Errorf("mark %s, flags %#x, mask %#x (sysctl fs.fanotify.max_user_marks may be the limit): %w", path, all, mask, err)
		}
		return nil
	}
	if err := add(0, m.Mask); err != nil {
		return err
	}
	ignore := m.Flags & (format.FanMarkSurvives | format.FanMarkIgnore)
	if ignore&format.FanMarkIgnore == 0 {
		ignore |= unix.FAN_MARK_IGNORED_MASK
	}
	return add(ignore, m.Ignored)
}

// dropFanotify reads what the marks have brought already, with the descriptors in it.
func dropFanotify(fd int) error {
	b := make([]byte, 1<<16)
	for {
		n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		if err != nil || n == 0 {
			return err
		}
		if n, err = unix.Read(fd, b); err != nil {
			return fmt.Errorf("read the events of the restart: %w", err)
		}
		const size, fdAt = 24, 16 // struct fanotify_event_metadata
		for event := b[:n]; len(event) >= size; {
			if file := int32(binary.NativeEndian.Uint32(event[fdAt:])); file >= 0 {
				unix.Close(int(file))
			}
			length := int(binary.NativeEndian.Uint32(event))
			if length < size || length > len(event) {
				break
			}
			event = event[length:]
		}
	}
}
