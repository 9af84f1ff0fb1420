// Package memory builds address spaces: mappings, the bytes in them, and what
// the kernel notes about them.
package memory

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// Opener opens files of the container.
type Opener interface {
	Open(id *format.FileIdentity, flags int) (fd int, err error)
}

// Backing is what mappings are made of besides anonymous memory: files, and
// shared memory. Every descriptor is sent to the first process before it is
// copied, so that each process finds it under the same number.
type Backing struct {
	files  map[fileKey]int
	shared map[uint32]*sharedMemory
	leader map[uint32]int // Mm → host pid of a process that has it
	local  []int
}

type fileKey struct {
	path          string
	device, inode uint64
	write         bool
}

type sharedMemory struct {
	local, number int
	size          uint64
}

// Open opens whatever the image's mappings and executables need and gives it to
// the first process.
func Open(s *format.Skeleton, opener Opener, root place.Process) (_ *Backing, err error) {
	b := &Backing{files: map[fileKey]int{}, shared: map[uint32]*sharedMemory{}, leader: map[uint32]int{}}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	var keys []fileKey
	need := func(id *format.FileIdentity, write bool) error {
		if id == nil {
			return nil
		}
		k := fileKey{id.Path, id.Device, id.Inode, write}
		if _, have := b.files[k]; have {
			return nil
		}
		flags := unix.O_RDONLY
		if write {
			flags = unix.O_RDWR
		}
		fd, err := opener.Open(id, flags)
		if err != nil {
			return fmt.Errorf("open a mapped file: %w", err)
		}
		b.files[k] = -1
		b.local = append(b.local, fd)
		keys = append(keys, k)
		return nil
	}
	for _, mm := range s.Mms {
		if err := need(mm.Exe, false); err != nil {
			return nil, err
		}
		for _, v := range mm.Vmas {
			if v.Kind == format.VmaKind_VMA_FILE_PRIVATE || v.Kind == format.VmaKind_VMA_FILE_SHARED {
				if err := need(v.File, writable(v)); err != nil {
					return nil, err
				}
			}
		}
	}
	numFiles := len(keys)
	for _, m := range s.SharedMemories {
		fd, err := makeShared(m.Size)
		if err != nil {
			return nil, fmt.Errorf("make shared memory of %d bytes: %w", m.Size, err)
		}
		b.local = append(b.local, fd)
		b.shared[m.Id] = &sharedMemory{local: fd, size: m.Size}
	}
	numbers, err := root.Send(b.local)
	if err != nil {
		return nil, fmt.Errorf("hand over %d mapped files: %w", len(b.local), err)
	}
	for i, k := range keys {
		b.files[k] = numbers[i]
	}
	for i, m := range s.SharedMemories {
		b.shared[m.Id].number = numbers[numFiles+i]
	}
	return b, nil
}

func writable(v *format.Vma) bool {
	return v.Kind == format.VmaKind_VMA_FILE_SHARED && (v.MayWrite || v.Prot&unix.PROT_WRITE != 0)
}

func (b *Backing) number(id *format.FileIdentity, write bool) int {
	return b.files[fileKey{id.Path, id.Device, id.Inode, write}]
}

// makeShared makes memory as mmap(MAP_SHARED|MAP_ANONYMOUS) does, and a
// descriptor of it: /proc/self/map_files is the one way to get that (a memfd
// would show another name in the container's maps).
func makeShared(size uint64) (int, error) {
	m, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return -1, err
	}
	defer unix.Munmap(m)
	start := addressOf(m)
	length := alignUp(size, uint64(os.Getpagesize()))
	return unix.Open(fmt.Sprintf("/proc/self/map_files/%x-%x", start, start+length), unix.O_RDWR|unix.O_CLOEXEC, 0)
}

func alignUp(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

// Close closes our copies.
func (b *Backing) Close() {
	for _, fd := range b.local {
		unix.Close(fd)
	}
	b.local = nil
}
