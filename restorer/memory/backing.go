// Package memory builds address spaces: mappings, the bytes in them, and what
// the kernel notes about them.
package memory

import (
	"fmt"
	"iter"
	"slices"

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
	files   map[fileKey]int
	objects map[uint32]*object // inodes without a path, by their number in the image
	numbers map[objectKey]int
	leader  map[uint32]int // Mm → host pid of a process that has it
	local   []int
	// programs are those that become a process's only in Finish.
	programs map[fileKey]int
	rootDir  int // O_PATH descriptor of the container's root directory
	ipc      IPC
	home     map[uint32]uint32 // Mm → the IPC namespace of a process that has it
	firstIPC uint32            // that of the container's first process
}

// IPC are ways into the container's IPC namespaces, by their numbers in the image; 0 is
// that of the first process.
type IPC struct {
	In    func(namespace uint32, f func() error) error
	Enter func(p place.Process, namespace uint32) error
}

type fileKey struct {
	path          string
	device, inode uint64
	write         bool
}

// objectKey is a descriptor by which an object is mapped.
type objectKey struct {
	id    uint32
	write bool
}

// Open opens whatever the image's mappings and executables need and gives it to
// the first process.
func Open(s *format.Skeleton, opener Opener, root place.Process, ipc IPC) (_ *Backing, err error) {
	b := &Backing{files: map[fileKey]int{}, objects: map[uint32]*object{}, numbers: map[objectKey]int{}, leader: map[uint32]int{}, programs: map[fileKey]int{}, ipc: ipc, home: map[uint32]uint32{}, firstIPC: s.LivesIn(0).GetId()}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	for _, p := range s.Processes {
		b.home[p.Mm] = s.IPCNamespaceOf(p.Namespaces).GetId()
	}
	var keys []fileKey
	need := func(id *format.FileIdentity, write bool) error {
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
	for f := range Files(s) {
		if err := need(f.ID, f.Write); err != nil {
			return nil, err
		}
	}
	if err := b.openPrograms(s, opener); err != nil {
		return nil, err
	}
	if err := b.makeObjects(s, root); err != nil {
		return nil, err
	}
	objects, err := b.mapped(s)
	if err != nil {
		return nil, err
	}
	numbers, err := root.Send(b.local)
	if err != nil {
		return nil, fmt.Errorf("hand over %d mapped files: %w", len(b.local), err)
	}
	for i, k := range keys {
		b.files[k] = numbers[i]
	}
	for i, k := range objects {
		b.numbers[k] = numbers[len(keys)+i]
	}
	// The copies in the processes do. One that is left open for writing would
	// keep a removed program from being one (ETXTBSY), and a memfd from its seals.
	b.closeLocal()
	return b, nil
}

// openPrograms opens those that lie in file systems in memory, whose bytes come
// from the image: nobody can write to a file that is a process's program
// (ETXTBSY), so it becomes one in Finish.
func (b *Backing) openPrograms(s *format.Skeleton, opener Opener) error {
	for _, mm := range s.Mms {
		if mm.Exe == nil || mm.ExeMemory != 0 || !slices.ContainsFunc(s.FileSystems, func(f *format.FileSystem) bool {
			return len(f.Nodes) > 0 && f.Device == mm.Exe.Device
		}) {
			continue
		}
		k := fileKey{mm.Exe.Path, mm.Exe.Device, mm.Exe.Inode, false}
		if _, ok := b.programs[k]; ok {
			continue
		}
		fd, err := opener.Open(mm.Exe, unix.O_RDONLY)
		if err != nil {
			return fmt.Errorf("open a program: %w", err)
		}
		b.programs[k] = fd
	}
	return nil
}

// program is our descriptor of a program that becomes one in Finish.
func (b *Backing) program(mm *format.Mm) (int, bool) {
	if mm.ExeMemory != 0 {
		return b.objects[mm.ExeMemory].local, true
	}
	if mm.Exe == nil {
		return -1, false
	}
	fd, ok := b.programs[fileKey{mm.Exe.Path, mm.Exe.Device, mm.Exe.Inode, false}]
	return fd, ok
}

// File is one that is mapped or executed.
type File struct {
	Mm    *format.Mm
	ID    *format.FileIdentity
	Write bool // mapped so that the program may write to it
}

// Files are the files of the container that the image's mappings and executables
// need.
func Files(s *format.Skeleton) iter.Seq[File] {
	return func(yield func(File) bool) {
		for _, mm := range s.Mms {
			if mm.ExeMemory == 0 && mm.Exe != nil && !yield(File{mm, mm.Exe, false}) {
				return
			}
			for _, v := range mm.Vmas {
				ofFile := v.SharedMemory == 0 && (v.Kind == format.VmaKind_VMA_FILE_PRIVATE || v.Kind == format.VmaKind_VMA_FILE_SHARED)
				if ofFile && v.File != nil && !yield(File{mm, v.File, writable(v)}) {
					return
				}
			}
		}
	}
}

// mapped opens the objects as the mappings need them.
func (b *Backing) mapped(s *format.Skeleton) ([]objectKey, error) {
	var keys []objectKey
	seen := map[objectKey]bool{}
	for _, mm := range s.Mms {
		for _, v := range mm.Vmas {
			k := objectKey{v.SharedMemory, writable(v)}
			if k.id == 0 || seen[k] || b.segment(v) != nil {
				continue
			}
			seen[k] = true
			flags := unix.O_RDONLY
			if k.write {
				flags = unix.O_RDWR
			}
			fd, err := b.objects[k.id].open(flags)
			if err != nil {
				return nil, err
			}
			b.local = append(b.local, fd)
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func writable(v *format.Vma) bool {
	switch v.Kind {
	case format.VmaKind_VMA_SHARED_ANONYMOUS:
		return true
	case format.VmaKind_VMA_FILE_SHARED:
		return v.MayWrite || v.Prot&unix.PROT_WRITE != 0
	}
	return false
}

func (b *Backing) number(id *format.FileIdentity, write bool) int {
	return b.files[fileKey{id.Path, id.Device, id.Inode, write}]
}

// source is the descriptor, in each process, of the file that a mapping is of.
func (b *Backing) source(v *format.Vma) int {
	if v.SharedMemory != 0 {
		return b.numbers[objectKey{v.SharedMemory, writable(v)}]
	}
	return b.number(v.File, writable(v))
}

func alignUp(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

// Close closes our copies.
func (b *Backing) Close() {
	b.closeLocal()
	for _, o := range b.objects {
		o.close()
	}
	for _, fd := range b.programs {
		unix.Close(fd)
	}
	b.programs = nil
	b.objects = nil
	if b.rootDir > 0 {
		unix.Close(b.rootDir)
		b.rootDir = 0
	}
}

func (b *Backing) closeLocal() {
	for _, fd := range b.local {
		unix.Close(fd)
	}
	b.local = nil
}
