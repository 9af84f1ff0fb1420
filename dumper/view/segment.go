package view

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// Segment is a System V segment, as its IPC namespace lists it.
type Segment struct {
	Message *format.SysvSegment
	Size    uint64
	// Open opens its memory where nobody has it attached.
	Open func() (*os.File, error)

	opened *os.File // see is
	mark   int64
}

// SegmentKey is a segment of one of the container's IPC namespaces: each counts from 0.
type SegmentKey struct {
	Namespace uint32 // of the message; 0: the container's own
	ID        uint32
}

// segmentOf finds the segment that a link of /proc leads to, of which stat shows no
// more than its id: where there are several namespaces, it is told from those of the
// same id in others, and in such as are gone.
func (o *Objects) segmentOf(link string, id uint32) (SegmentKey, error) {
	if !o.SeveralIPC {
		return SegmentKey{ID: id}, nil
	}
	f, err := os.Open(link)
	if err != nil {
		return SegmentKey{}, err
	}
	defer f.Close()
	for key, s := range o.Segments {
		if key.ID != id {
			continue
		}
		if is, err := o.is(s, f); is || err != nil {
			return key, err
		}
	}
	return SegmentKey{Namespace: noNamespace, ID: id}, nil
}

// IsAmbiguous tells whether neither path nor numbers say which object a file is.
func (o *Objects) IsAmbiguous(path string) bool { return o.SeveralIPC && isSegment(path) }

// noNamespace is that of segments which belong to none of the container's.
const noNamespace = 1<<32 - 1

// is tells whether an open file is of the segment's memory: a lock on the one, at an
// offset of its own that no program has, shows in the other if they have one inode.
func (o *Objects) is(s *Segment, f *os.File) (bool, error) {
	if s.opened == nil {
		opened, err := s.Open()
		if err != nil {
			return false, err
		}
		o.marks++
		s.opened, s.mark = opened, 1<<62+o.marks
		lock := unix.Flock_t{Type: unix.F_RDLCK, Start: s.mark, Len: 1}
		if err := unix.FcntlFlock(opened.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
			return false, os.NewSyscallError("fcntl(F_OFD_SETLK)", err)
		}
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: s.mark, Len: 1}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return false, os.NewSyscallError("fcntl(F_OFD_GETLK)", err)
	}
	return lock.Type != unix.F_UNLCK, nil
}

// segment describes one that somebody has attached, or that nobody has.
func (o *Objects) segment(found *Object, m *format.SharedMemory, f *os.File, name string, id uint32) (err error) {
	s := o.Segments[found.segment]
	if s == nil {
		found.Obstacle = &Obstacle{"System V shared memory", fmt.Sprintf("segment %d is of no IPC namespace that the container has for itself", id),
			"give the container an IPC namespace of its own, or let the program detach it"}
		return nil
	}
	// A removed segment has lost its key, but not the name that was made of it.
	key, err := strconv.ParseUint(strings.TrimPrefix(name, "/SYSV"), 16, 32)
	if err != nil {
		return fmt.Errorf("%q is no name of a segment", name)
	}
	s.Message.Permissions.Key = int32(uint32(key))
	m.Size = s.Size
	m.Kind = &format.SharedMemory_Sysv{Sysv: s.Message}
	found.Message = m
	found.Extents, err = Extents(f, m.Size)
	return err
}

// Unattached adds those segments that no mapping has led to.
func (o *Objects) Unattached() error {
	keys := slices.SortedFunc(maps.Keys(o.Segments), func(a, b SegmentKey) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
	})
	for _, key := range keys {
		if o.known[key.object()] != nil {
			continue
		}
		if err := o.unattached(key, o.Segments[key]); err != nil {
			return fmt.Errorf("the System V shared memory %d: %w", key.ID, err)
		}
	}
	return nil
}

func (k SegmentKey) object() objectKey {
	return objectKey{segment: true, device: uint64(k.Namespace), inode: uint64(k.ID)}
}

func (o *Objects) unattached(key SegmentKey, s *Segment) error {
	f, err := s.Open()
	if err != nil {
		return err
	}
	found := &Object{Path: fmt.Sprintf("/proc/self/fd/%d", f.Fd()), file: f, segment: key}
	o.remember(key.object(), found)
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return err
	}
	name, err := os.Readlink(found.Path)
	if err != nil {
		return err
	}
	if err := o.lookAt(found, f, name, &st, &fs); err != nil {
		return err
	}
	found.Message.Id = o.IDs.Next()
	return nil
}
