package memory

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// makeSegments makes System V segments in the container's IPC namespaces. Those
// that were removed come first: each loses its key at once, which another one
// may have.
func (b *Backing) makeSegments(segments []*object) error {
	slices.SortStableFunc(segments, func(x, y *object) int {
		return cmp.Compare(x.GetSysv().Namespace, y.GetSysv().Namespace)
	})
	for len(segments) > 0 {
		namespace, n := segments[0].GetSysv().Namespace, 1
		for n < len(segments) && segments[n].GetSysv().Namespace == namespace {
			n++
		}
		if err := b.ipc.In(namespace, func() error { return makeSegmentsHere(segments[:n]) }); err != nil {
			return err
		}
		segments = segments[n:]
	}
	return nil
}

// makeSegmentsHere makes those of the IPC namespace that the thread is in.
func makeSegmentsHere(segments []*object) error {
	for _, removed := range []bool{true, false} {
		for _, o := range segments {
			if o.GetSysv().Removed != removed {
				continue
			}
			if err := o.makeSegment(o.GetSysv()); err != nil {
				return fmt.Errorf("make System V shared memory %d of %d bytes%s: %w", o.GetSysv().Permissions.Id, o.Size, hint(o.SharedMemory, err), err)
			}
		}
	}
	return nil
}

func (o *object) makeSegment(s *format.SysvSegment) error {
	p := s.Permissions
	if err := nextID("shm", p.Id); err != nil {
		return err
	}
	flags := int(p.Mode) | unix.IPC_CREAT | unix.IPC_EXCL
	if o.HugePageSize != 0 {
		const shmHugetlb, shmHugeShift = 0o4000, 26
		flags |= shmHugetlb | hugeBits(o.HugePageSize)<<shmHugeShift
	}
	var id int
	make := func() (err error) {
		id, err = unix.SysvShmGet(int(p.Key), int(o.Size), flags)
		return err
	}
	// What an ordinary user may not do with huge pages root does.
	if err := asCreator(p, o.HugePageSize != 0, make); err != nil {
		return err
	}
	if uint32(id) != p.Id {
		return fmt.Errorf("it got number %d", id)
	}
	m, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return os.NewSyscallError("shmat", err)
	}
	o.attached = m
	var d unix.SysvShmDesc
	d.Perm.Uid, d.Perm.Gid, d.Perm.Mode = p.Uid, p.Gid, p.Mode
	if _, err := unix.SysvShmCtl(id, unix.IPC_SET, &d); err != nil {
		return os.NewSyscallError("shmctl(IPC_SET)", err)
	}
	if s.Locked {
		const shmLock = 11
		if _, err := unix.SysvShmCtl(id, shmLock, nil); err != nil {
			return os.NewSyscallError("shmctl(SHM_LOCK)", err)
		}
	}
	if s.Removed {
		if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil {
			return os.NewSyscallError("shmctl(IPC_RMID)", err)
		}
	}
	return o.openMapping(m)
}

// nextID says which number the next object of a kind gets (sysctl
// kernel.KIND_next_id of a kernel with CONFIG_CHECKPOINT_RESTORE).
func nextID(kind string, id uint32) error {
	err := os.WriteFile("/proc/sys/kernel/"+kind+"_next_id", []byte(strconv.Itoa(int(id))), 0)
	if err != nil {
		return fmt.Errorf("choose its number (the kernel needs CONFIG_CHECKPOINT_RESTORE): %w", err)
	}
	return nil
}

// asCreator has the thread, in a namespace of the container, make an object as
// the user who made it.
func asCreator(p *format.SysvPermissions, root bool, make func() error) error {
	if root || p.CreatorUid == 0 && p.CreatorGid == 0 {
		return make()
	}
	if err := sys.ThreadIdentity(p.CreatorUid, p.CreatorGid); err != nil {
		return fmt.Errorf("become user %d: %w", p.CreatorUid, err)
	}
	return errors.Join(make(), sys.ThreadIdentity(0, 0))
}

// segment is the System V segment that a mapping is of, or nil.
func (b *Backing) segment(v *format.Vma) *object {
	if o := b.objects[v.SharedMemory]; o != nil && o.GetSysv() != nil {
		return o
	}
	return nil
}

// attach attaches the segments that an address space has, where it had them.
func (b *Backing) attach(p place.Process, mm *format.Mm) error {
	var parts []*format.Vma
	for _, v := range mm.Vmas {
		o := b.segment(v)
		switch {
		case o == nil:
			continue
		case v.Offset != 0 || v.End-v.Start != alignUp(o.Size, o.pageSize()):
			parts = append(parts, v) // the rest was unmapped, or is protected otherwise
			continue
		}
		if _, err := b.shmat(p, mm, v, v.Start); err != nil {
			return mapError(v, err)
		}
		if err := protect(p, v); err != nil {
			return err
		}
	}
	// The kernel chooses where these lie first: when all else has its place.
	for _, v := range parts {
		if err := b.attachPart(p, mm, v); err != nil {
			return mapError(v, err)
		}
	}
	return nil
}

// shmat attaches the segment of a mapping; where the process is in another IPC
// namespace by now, it enters the segment's for a moment.
func (b *Backing) shmat(p place.Process, mm *format.Mm, v *format.Vma, at uint64) (addr uint64, err error) {
	s := b.objects[v.SharedMemory].GetSysv()
	if home := b.home[mm.Id]; home != b.living(s) {
		if err := b.ipc.Enter(p, s.Namespace); err != nil {
			return 0, fmt.Errorf("enter the IPC namespace of the segment: %w", err)
		}
		defer func() { err = errors.Join(err, b.ipc.Enter(p, home)) }()
	}
	return p.Call(unix.SYS_SHMAT, uint64(s.Permissions.Id), at, shmFlags(v))
}

// living is the IPC namespace of a segment.
func (b *Backing) living(s *format.SysvSegment) uint32 {
	if s.Namespace != 0 {
		return s.Namespace
	}
	return b.firstIPC
}

func (b *Backing) attachPart(p place.Process, mm *format.Mm, v *format.Vma) error {
	o := b.objects[v.SharedMemory]
	at, err := b.shmat(p, mm, v, 0)
	if err != nil {
		return err
	}
	length, size := v.End-v.Start, alignUp(o.Size, o.pageSize())
	if v.Offset+length > size {
		return fmt.Errorf("the image maps more of it than there is")
	}
	if _, err := p.Call(unix.SYS_MREMAP, at+v.Offset, length, length, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, v.Start); err != nil {
		return err
	}
	var calls []tracee.Call
	for _, rest := range [][2]uint64{{at, v.Offset}, {at + v.Offset + length, size - v.Offset - length}} {
		if rest[1] > 0 {
			calls = append(calls, tracee.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{rest[0], rest[1]}})
		}
	}
	if err := place.RunAll(p, calls); err != nil {
		return err
	}
	return protect(p, v)
}

func shmFlags(v *format.Vma) uint64 {
	const shmExec = 0o100000
	flags := uint64(0)
	if !v.MayWrite && v.Prot&unix.PROT_WRITE == 0 {
		flags |= unix.SHM_RDONLY
	}
	if v.Prot&unix.PROT_EXEC != 0 {
		flags |= shmExec
	}
	return flags
}

// protect gives a mapping its protection where shmat(2) has another one for it.
func protect(p place.Process, v *format.Vma) error {
	if _, err := p.Call(unix.SYS_MPROTECT, v.Start, v.End-v.Start, firstProtection(v)); err != nil {
		return mapError(v, err)
	}
	return nil
}
