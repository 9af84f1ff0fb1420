package view

import (
	"fmt"
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
}

// segment describes one that somebody has attached.
func (o *Objects) segment(found *Object, m *format.SharedMemory, f *os.File, name string, id uint32) (err error) {
	s := o.Segments[id]
	if s == nil {
		found.Obstacle = &Obstacle{"System V shared memory", fmt.Sprintf("segment %d is none of an IPC namespace of the container's own", id),
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
	ids := make([]uint32, 0, len(o.Segments))
	for id := range o.Segments {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		key := objectKey{segment: true, inode: uint64(id)}
		if o.known[key] != nil {
			continue
		}
		if err := o.unattached(key, o.Segments[id]); err != nil {
			return fmt.Errorf("the System V shared memory %d: %w", id, err)
		}
	}
	return nil
}

func (o *Objects) unattached(key objectKey, s *Segment) error {
	f, err := s.Open()
	if err != nil {
		return err
	}
	found := &Object{Path: fmt.Sprintf("/proc/self/fd/%d", f.Fd()), file: f}
	o.remember(key, found)
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
