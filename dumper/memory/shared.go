package memory

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// sharedLook is shared anonymous memory: an inode of the kernel's own shmem
// mount, which each mapping of it shows in maps.
type sharedLook struct {
	message *format.SharedMemory
	pid     int
	path    string // one of its links in /proc/PID/map_files
}

// sharedMemory returns the number of the object that a mapping is of.
func (l *looker) sharedMemory(s *spaceLook, a *procfs.MappedArea) (uint32, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if m := l.shared[a.Inode]; m != nil {
		return m.message.Id, nil
	}
	path := fmt.Sprintf("/proc/%d/map_files/%x-%x", s.PID, a.Start, a.End)
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	m := &sharedLook{
		message: &format.SharedMemory{Id: l.env.IDs.Next(), Size: uint64(st.Size())},
		pid:     s.PID, path: path,
	}
	l.shared[a.Inode] = m
	return m.message.Id, nil
}

// extents lists what the memory holds: pages that were never touched are holes
// (lseek(2), SEEK_DATA), and pages that are swapped out are not.
func (s *sharedLook) extents() ([]extent, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []extent
	end := int64((s.message.Size + pageSize - 1) / pageSize * pageSize)
	for at := int64(0); at < end; {
		data, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // only a hole is left
		}
		if err != nil {
			return nil, err
		}
		hole, err := f.Seek(data, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		all = append(all, extent{start: uint64(data), length: uint64(hole - data)})
		at = hole
	}
	return all, nil
}

// sharedDevice finds the number of the kernel's own shmem mount as maps shows
// it, by a mapping of ours.
func sharedDevice() (uint64, error) {
	m, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_NONE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Munmap(m) }()
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m))))
	vmas, err := procfs.ReadMaps(os.Getpid())
	if err != nil {
		return 0, err
	}
	for _, v := range vmas {
		if v.Start <= at && at < v.End {
			return device(&procfs.MappedArea{VMA: v}), nil
		}
	}
	return 0, fmt.Errorf("our own mapping at %#x is not in /proc/self/maps", at)
}
