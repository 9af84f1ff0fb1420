package memory

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// fileKey is a file as maps shows it.
type fileKey struct {
	device, inode uint64
	path          string
}

// fileLook is a file that was looked at once for all its mappings.
type fileLook struct {
	once     sync.Once
	id       *format.FileIdentity
	obstacle *obstacle
	err      error
}

// file says which file is mapped; nil if it was refused.
func (l *looker) file(s *spaceLook, a *procfs.MappedArea) (*format.FileIdentity, error) {
	key := fileKey{device(a), a.Inode, a.Path}
	l.mutex.Lock()
	f := l.files[key]
	if f == nil {
		f = &fileLook{}
		l.files[key] = f
	}
	l.mutex.Unlock()
	f.once.Do(func() {
		// Of a chain of overlays, maps shows the numbers of a lower one: ask
		// the file itself.
		link := fmt.Sprintf("/proc/%d/map_files/%x-%x", s.PID, a.Start, a.End)
		f.id, f.obstacle, f.err = l.identify(link, a.Path, s.Foreign)
	})
	if f.err != nil {
		return nil, f.err
	}
	if f.obstacle != nil {
		s.refuse(a, f.obstacle.kind, f.obstacle.reason, f.obstacle.remedy)
		return nil, nil
	}
	return f.id, nil
}

// identify looks at the file behind a link of /proc and finds out whether a
// restart would find it at its path.
func (l *looker) identify(link, path string, foreign bool) (*format.FileIdentity, *obstacle, error) {
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil {
		if errors.Is(err, unix.EPERM) {
			return nil, nil, fmt.Errorf("stat %s: %w (needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE)", link, err)
		}
		return nil, nil, &os.PathError{Op: "stat", Path: link, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFCHR:
		if uint64(st.Rdev) != unix.Mkdev(1, 5) { // a private mapping of /dev/zero is anonymous memory
			return nil, &obstacle{"memory of a device", "it belongs to a driver of this host", ""}, nil
		}
	default:
		return nil, &obstacle{"memory of a device", "it is not of a regular file", ""}, nil
	}
	if st.Nlink == 0 || strings.HasSuffix(path, " (deleted)") {
		// A file may have that ending in its name; one without links has not.
		if st.Nlink == 0 || !l.isAt(path, &st) {
			return nil, &obstacle{"deleted file", "the file is mapped and was removed or replaced since, so a restart could not find it", "restart the program, as after an upgrade of its package"}, nil
		}
	}
	if foreign {
		id := view.Identity(path, &st)
		id.Foreign = !l.isAt(path, &st)
		return id, nil, nil
	}
	if !l.isAt(path, &st) {
		return nil, &obstacle{"hidden file", "at its path there is no file any more, or another one: it was removed, renamed over, or mounted over", "restart the program"}, nil
	}
	return view.Identity(path, &st), nil, nil
}

// isAt says whether a file is what a restart would find at a path.
func (l *looker) isAt(path string, st *unix.Stat_t) bool {
	there, err := l.env.Root.Stat(path)
	return err == nil && view.SameFile(&there, st)
}
