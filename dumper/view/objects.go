package view

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// Objects are the inodes that tasks use and that no path names: shared
// anonymous memory, memfds, removed files and directories, System V segments.
// Mappings and descriptors of one inode lead to one of them, whichever room
// sees it first.
type Objects struct {
	IDs *IDs
	// MaxDeleted is how many bytes a removed file may hold; 0: no limit.
	MaxDeleted uint64
	// Segments are the System V segments of the container's IPC namespaces; nil if it
	// has none of its own.
	Segments map[SegmentKey]*Segment
	// SeveralIPC: programs have made IPC namespaces.
	SeveralIPC bool

	mutex sync.Mutex
	known map[objectKey]*Object
	marks int64 // of segments that were locked, see is
}

// Object is one of them.
type Object struct {
	Message *format.SharedMemory
	PID     int      // host's pid of a process that uses it; 0: nobody does
	Path    string   // of a link in /proc by which it is read
	Extents []Extent // whole pages that hold data
	// Obstacle says why it can't be saved; nil: it can.
	Obstacle *Obstacle
	file     *os.File // behind Path, if it is ours
	segment  SegmentKey
}

// Extent is a run of bytes.
type Extent struct{ Start, Length uint64 }

// Obstacle is a refusal to be, of whoever uses the object.
type Obstacle struct{ Kind, Reason, Remedy string }

// objectKey is an inode. Segments have their own (SegmentKey.object), since their
// inode number is their id (newseg, ipc/shm.c), which may be that of a memfd as well.
type objectKey struct {
	segment       bool
	device, inode uint64
}

// Of finds the object that a link of /proc leads to; name and st are what
// readlink and stat tell of it. It returns nil for a file that has a path.
func (o *Objects) Of(pid int, link, name string, st *unix.Stat_t) (*Object, error) {
	if !pathless(name, st) {
		return nil, nil
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	key := objectKey{device: uint64(st.Dev), inode: st.Ino}
	found := &Object{PID: pid, Path: link}
	if isSegment(name) {
		var err error
		if found.segment, err = o.segmentOf(link, uint32(st.Ino)); err != nil {
			return nil, fmt.Errorf("look at %s: %w", name, err)
		}
		key = found.segment.object()
	}
	if found := o.known[key]; found != nil {
		return found, nil
	}
	if pid == os.Getpid() { // it came out of a socket's queue, and our descriptor will be closed
		f, err := os.OpenFile(link, unix.O_PATH, 0)
		if err != nil {
			return nil, err
		}
		found.file, found.Path = f, "/proc/self/fd/"+strconv.Itoa(int(f.Fd()))
	}
	err := o.look(found, name, st)
	if err != nil {
		err = fmt.Errorf("look at %s: %w", name, err)
	}
	if err != nil || found.Message == nil && found.Obstacle == nil {
		if found.file != nil {
			found.file.Close()
		}
		return nil, err
	}
	o.remember(key, found)
	return found, nil
}

func (o *Objects) remember(key objectKey, found *Object) {
	if found.Message != nil {
		found.Message.Id = o.IDs.Next()
	}
	if o.known == nil {
		o.known = map[objectKey]*Object{}
	}
	o.known[key] = found
}

// pathless tells files that exist without a name, at a glance.
func pathless(name string, st *unix.Stat_t) bool {
	t := st.Mode & unix.S_IFMT
	return (t == unix.S_IFREG || t == unix.S_IFDIR) && st.Nlink == 0 && strings.HasPrefix(name, "/")
}

func isSegment(name string) bool { return strings.HasPrefix(name, "/SYSV") }

// look describes an object. One that is neither described nor refused is none
// of ours.
func (o *Objects) look(found *Object, name string, st *unix.Stat_t) error {
	// A file of /proc or of a driver could do anything when it is opened.
	var fs unix.Statfs_t
	if err := unix.Statfs(found.Path, &fs); err != nil {
		return err
	}
	if kernelOwn[int64(fs.Type)] {
		return nil
	}
	f, err := os.OpenFile(found.Path, os.O_RDONLY|unix.O_NOATIME, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return o.lookAt(found, f, name, st, &fs)
}

func (o *Objects) lookAt(found *Object, f *os.File, name string, st *unix.Stat_t, fs *unix.Statfs_t) (err error) {
	m := &format.SharedMemory{Size: uint64(st.Size)}
	name = strings.TrimSuffix(name, " (deleted)")
	internal := int64(fs.Type) == unix.TMPFS_MAGIC || int64(fs.Type) == unix.HUGETLBFS_MAGIC
	if int64(fs.Type) == unix.HUGETLBFS_MAGIC {
		m.HugePageSize = uint32(fs.Bsize)
	}
	inode, err := InodeOf(f, st)
	if err != nil {
		return err
	}
	memfd, isMemfd := strings.CutPrefix(name, "/memfd:")
	switch {
	case internal && isMemfd:
		seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
		if err != nil {
			return os.NewSyscallError("fcntl(F_GET_SEALS)", err)
		}
		m.Kind = &format.SharedMemory_Memfd{Memfd: &format.Memfd{Name: []byte(memfd), Seals: uint32(seals), Inode: inode}}
	case internal && isSegment(name):
		return o.segment(found, m, f, name, uint32(st.Ino))
	case internal && (name == "/dev/zero" || name == "/anon_hugepage"):
		// Of MAP_SHARED|MAP_ANONYMOUS, or of a mapping of /dev/zero.
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		m.Size = 0
		m.Kind = &format.SharedMemory_Deleted{Deleted: &format.DeletedFile{Path: name, Inode: inode}}
		found.Message = m
		return nil
	default:
		return o.deleted(found, m, f, name, st, inode)
	}
	found.Message = m
	found.Extents, err = Extents(f, m.Size)
	return err
}

// deleted describes a file that was removed.
func (o *Objects) deleted(found *Object, m *format.SharedMemory, f *os.File, name string, st *unix.Stat_t, inode *format.Inode) (err error) {
	d := &format.DeletedFile{Path: name, Inode: inode}
	// d_tmpfile, fs/dcache.c: the name is "#" and the inode's number.
	if dir, ok := strings.CutSuffix(name, "/#"+strconv.FormatUint(st.Ino, 10)); ok {
		d.Nameless = true
		d.Path = "/" + strings.TrimPrefix(dir, "/")
	}
	m.Kind = &format.SharedMemory_Deleted{Deleted: d}
	if found.Extents, err = Extents(f, m.Size); err != nil {
		return err
	}
	held := uint64(0)
	for _, e := range found.Extents {
		held += e.Length
	}
	if o.MaxDeleted != 0 && held > o.MaxDeleted {
		found.Obstacle = &Obstacle{"deleted file " + name,
			fmt.Sprintf("it holds %d bytes, which would all be kept in the statefile; the limit is %d", held, o.MaxDeleted),
			fmt.Sprintf("allow it with --max-deleted=%dM, or have the program close it", (held+1<<20-1)>>20)}
		return nil
	}
	found.Message = m
	return nil
}

// InOrder lists what was found, by id.
func (o *Objects) InOrder() []*Object {
	var all []*Object
	for _, f := range o.known {
		if f.Message != nil {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *Object) int { return int(a.Message.Id) - int(b.Message.Id) })
	return all
}

// Close closes what was opened for those that nobody uses.
func (o *Objects) Close() {
	for _, f := range o.known {
		if f.file != nil {
			f.file.Close()
		}
	}
	for _, s := range o.Segments {
		if s.opened != nil {
			s.opened.Close()
		}
	}
}

// kernelOwn are file systems whose files have no content of their own
// (include/uapi/linux/magic.h).
var kernelOwn = map[int64]bool{
	unix.PROC_SUPER_MAGIC: true, unix.SYSFS_MAGIC: true, unix.CGROUP_SUPER_MAGIC: true, unix.CGROUP2_SUPER_MAGIC: true,
	unix.DEBUGFS_MAGIC: true, unix.TRACEFS_MAGIC: true, unix.SECURITYFS_MAGIC: true, unix.SELINUX_MAGIC: true,
	unix.ANON_INODE_FS_MAGIC: true, unix.PIPEFS_MAGIC: true, unix.SOCKFS_MAGIC: true, unix.NSFS_MAGIC: true,
	unix.BPF_FS_MAGIC: true, unix.SECRETMEM_MAGIC: true, unix.PID_FS_MAGIC: true,
	unix.DMA_BUF_MAGIC: true, unix.DEVPTS_SUPER_MAGIC: true, unix.EFIVARFS_MAGIC: true,
	0x19800202: true, // MQUEUE_MAGIC, ipc/mqueue.c
	0x19700930: true, // of io_setup(2), fs/aio.c: its rings
	0x62656570: true, // CONFIGFS_MAGIC, fs/configfs/mount.c
}
