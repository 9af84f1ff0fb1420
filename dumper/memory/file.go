package memory

import (
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
	// link is the mapping, of a file that maps does not tell from others: System V
	// memory of several IPC namespaces.
	link string
}

// fileLook is a file that was looked at once for all its mappings.
type fileLook struct {
	once     sync.Once
	id       *format.FileIdentity
	object   *view.Object // it has no path; nil: it has
	obstacle *view.Obstacle
	err      error
}

// file says which file is mapped; nil if it was refused.
func (l *looker) file(s *spaceLook, a *procfs.MappedArea) (*fileLook, error) {
	key := fileKey{device: device(a), inode: a.Inode, path: a.Path}
	// Of a chain of overlays, maps shows the numbers of a lower one: ask the file
	// itself.
	link := fmt.Sprintf("/proc/%d/map_files/%x-%x", s.PID, a.Start, a.End)
	if l.env.Objects.IsAmbiguous(a.Path) {
		key.link = link
	}
	l.mutex.Lock()
	f := l.files[key]
	if f == nil {
		f = &fileLook{}
		l.files[key] = f
	}
	l.mutex.Unlock()
	f.once.Do(func() {
		f.identify(l, s, link)
	})
	if f.err != nil {
		return nil, f.err
	}
	if f.obstacle != nil {
		s.refuse(a, f.obstacle.Kind, f.obstacle.Reason, f.obstacle.Remedy)
		return nil, nil
	}
	return f, nil
}

// identify looks at the file behind a link of /proc and finds out whether a
// restart would find it at its path.
func (f *fileLook) identify(l *looker, s *spaceLook, link string) {
	var st unix.Stat_t
	path, err := os.Readlink(link)
	if err == nil {
		err = unix.Stat(link, &st)
	}
	if err != nil {
		f.err = fmt.Errorf("look at %s (needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE): %w", link, err)
		return
	}
	if f.object, f.err = l.env.Objects.Of(s.PID, link, path, &st); f.err != nil {
		return
	}
	if f.object != nil {
		f.obstacle = f.object.Obstacle
		f.id = view.Identity(strings.TrimSuffix(path, " (deleted)"), &st)
		return
	}
	if f.obstacle = unmappable(&st); f.obstacle != nil {
		return
	}
	f.id = view.Identity(path, &st)
	if l.isAt(path, &st) {
		return
	}
	if other := l.env.Root.Other(path, &st); other != "" {
		f.id.Path = other
		return
	}
	for _, r := range l.env.Nested {
		if there, err := r.Stat(path); err == nil && view.SameFile(&there, &st) {
			f.id.MountNamespace = r.ID
			return
		}
	}
	f.id.Foreign = s.Foreign
	if !s.Foreign {
		f.obstacle = &view.Obstacle{Kind: "hidden file", Reason: "at its path there is no file any more, or another one: it was moved, or something was mounted over it", Remedy: "restart the program"}
	}
}

// unmappable refuses what is mapped and has no content of its own.
func unmappable(st *unix.Stat_t) *view.Obstacle {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFCHR:
		if uint64(st.Rdev) == unix.Mkdev(1, 5) { // a private mapping of /dev/zero is anonymous memory
			return nil
		}
		return &view.Obstacle{Kind: "memory of a device", Reason: "it belongs to a driver of this host"}
	}
	return &view.Obstacle{Kind: "memory of a device", Reason: "it is not of a regular file"}
}

// isAt says whether a file is what a restart would find at a path.
func (l *looker) isAt(path string, st *unix.Stat_t) bool {
	there, err := l.env.Root.Stat(path)
	return err == nil && view.SameFile(&there, st)
}
