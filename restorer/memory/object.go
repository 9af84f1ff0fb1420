package memory

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/restorer/place"
)

// object is an inode without a path that was made again, still empty.
type object struct {
	*format.SharedMemory
	local int // ours, writable; of a directory to read; -1: closed
	// made is the open file that O_TMPFILE itself gave; -1: none, or it is used.
	made     int
	mapped   []byte // huge pages can't be written, only mapped
	attached []byte // of a System V segment
}

// makeObjects makes what has no path.
func (b *Backing) makeObjects(s *format.Skeleton, root place.Process) (err error) {
	if b.rootDir, err = unix.Open(fmt.Sprintf("/proc/%d/root", root.PID()), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open the container's root directory: %w", err)
	}
	var segments []*object
	for _, m := range s.SharedMemories {
		o := &object{SharedMemory: m, local: -1, made: -1}
		b.objects[m.Id] = o
		switch k := m.Kind.(type) {
		case nil:
			if err := o.makeShared(); err != nil {
				return fmt.Errorf("make shared memory of %d bytes%s: %w", m.Size, hint(m, err), err)
			}
		case *format.SharedMemory_Memfd:
			if err := o.makeMemfd(k.Memfd); err != nil {
				return fmt.Errorf("make the memfd %q of %d bytes%s: %w", k.Memfd.Name, m.Size, hint(m, err), err)
			}
		case *format.SharedMemory_Deleted:
			uid, gid := s.RootUsers().First()
			err := elsewhere.As(uid, gid, func() error { return b.makeDeleted(o, k.Deleted, tmpfileFlags(s, m.Id)) })
			if err != nil {
				return fmt.Errorf("make %s again, which was removed before the checkpoint: %w", k.Deleted.Path, err)
			}
		case *format.SharedMemory_Sysv:
			segments = append(segments, o)
		}
	}
	if err := b.makeSegments(segments); err != nil {
		return err
	}
	if err := b.makeIPC(s); err != nil {
		return err
	}
	for _, o := range b.objects {
		if err := o.mapHuge(); err != nil {
			return fmt.Errorf("map %d bytes of huge pages%s: %w", o.Size, hint(o.SharedMemory, err), err)
		}
	}
	return nil
}

func hint(m *format.SharedMemory, err error) string {
	if m.HugePageSize != 0 {
		return fmt.Sprintf(" (the host needs free huge pages of %d KiB: /sys/kernel/mm/hugepages)", m.HugePageSize>>10)
	}
	if err == unix.ENOMEM {
		return " (not enough memory)"
	}
	return ""
}

// makeShared makes memory as mmap(MAP_SHARED|MAP_ANONYMOUS) does, and a
// descriptor of it: /proc/self/map_files is the one way to get that (a memfd
// would show another name in the container's maps).
func (o *object) makeShared() error {
	flags := unix.MAP_SHARED | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	if o.HugePageSize != 0 {
		flags |= unix.MAP_HUGETLB | hugeBits(o.HugePageSize)<<unix.MAP_HUGE_SHIFT
	}
	m, err := unix.Mmap(-1, 0, int(o.Size), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return err
	}
	defer unix.Munmap(m)
	return o.openMapping(m)
}

// openMapping opens the file behind a mapping of ours, of all of the object.
func (o *object) openMapping(m []byte) error {
	start := addressOf(m)
	var err error
	o.local, err = unix.Open(fmt.Sprintf("/proc/self/map_files/%x-%x", start, start+alignUp(o.Size, o.pageSize())), unix.O_RDWR|unix.O_CLOEXEC, 0)
	return err
}

func (o *object) pageSize() uint64 {
	return max(uint64(o.HugePageSize), uint64(os.Getpagesize()))
}

func (o *object) mapHuge() (err error) {
	if o.HugePageSize == 0 || o.Size == 0 {
		return nil
	}
	o.mapped, err = unix.Mmap(o.local, 0, int(o.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	return err
}

// open opens the object anew: an open file of its own.
func (o *object) open(flags int) (int, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", o.local), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open object %d of the image with flags %#o: %w", o.Id, flags, err)
	}
	return fd, nil
}

// pour puts bytes where they belong. The last page of a file is stored whole.
func (o *object) pour(offset uint64, data []byte) error {
	if offset+uint64(len(data)) > alignUp(o.Size, uint64(os.Getpagesize())) {
		return fmt.Errorf("the statefile has bytes past the end of shared memory %d", o.Id)
	}
	data = data[:min(uint64(len(data)), o.Size-offset)]
	if o.mapped != nil {
		copy(o.mapped[offset:], data)
		return nil
	}
	_, err := unix.Pwrite(o.local, data, int64(offset))
	return err
}

func (o *object) close() {
	if o.mapped != nil {
		_ = unix.Munmap(o.mapped)
		o.mapped = nil
	}
	for _, fd := range []*int{&o.local, &o.made} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
	if o.attached != nil {
		_ = unix.SysvShmDetach(o.attached)
		o.attached = nil
	}
}

// OpenFile makes an open file of an object, with the flags it had.
func (b *Backing) OpenFile(id uint32, flags uint32) (int, error) {
	o := b.objects[id]
	if o == nil || o.GetSysv() != nil {
		return -1, fmt.Errorf("the image has no file %d", id)
	}
	f := int(flags)
	if f&unix.O_TMPFILE == unix.O_TMPFILE {
		if o.made >= 0 {
			fd := o.made
			o.made = -1
			return fd, nil
		}
		f &^= unix.O_TMPFILE
	}
	// It is reached through a symbolic link of /proc.
	return o.open(f &^ unix.O_NOFOLLOW)
}

// Directory is a removed directory; the descriptor stays ours.
func (b *Backing) Directory(id uint32) int { return b.objects[id].local }

// Settle gives the objects what would have stood in the way of the bytes: modes,
// times, seals. No bytes come after it.
func (b *Backing) Settle(s *format.Skeleton) error {
	programs := map[uint32]bool{}
	for _, mm := range s.Mms {
		programs[mm.ExeMemory] = true
	}
	for _, m := range s.SharedMemories {
		o := b.objects[m.Id]
		if o.GetDeleted().GetInode().GetMode()&unix.S_IFMT == unix.S_IFDIR {
			continue
		}
		if err := o.settle(); err != nil {
			return fmt.Errorf("object %d of the image: %w", m.Id, err)
		}
		kept := -1
		if programs[m.Id] {
			var err error
			if kept, err = o.open(unix.O_RDONLY); err != nil {
				return err
			}
		}
		o.close()
		o.local = kept
	}
	return nil
}

func (o *object) settle() error {
	if o.mapped != nil {
		_ = unix.Munmap(o.mapped)
		o.mapped = nil
	}
	switch k := o.Kind.(type) {
	case *format.SharedMemory_Memfd:
		if err := setInode(o.local, k.Memfd.Inode); err != nil {
			return err
		}
		if k.Memfd.Seals == 0 {
			return nil
		}
		if _, err := unix.FcntlInt(uintptr(o.local), unix.F_ADD_SEALS, int(k.Memfd.Seals)); err != nil {
			return fmt.Errorf("seal the memfd %q (%#x): %w", k.Memfd.Name, k.Memfd.Seals, err)
		}
	case *format.SharedMemory_Deleted:
		return setInode(o.local, k.Deleted.Inode)
	}
	return nil
}
