package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// mapRingsOf maps rings where they were in an address space.
func (r *Restart) mapRingsOf(p place.Process, vmas []*format.Vma) error {
	for _, v := range vmas {
		there, done, err := r.lend(p, []uint32{v.OpenFile})
		if err != nil {
			return err
		}
		err = mapRing(p, v, uint64(there[v.OpenFile]))
		done()
		if err != nil {
			return fmt.Errorf("map a ring at %#x-%#x of process %d: %w", v.Start, v.End, p.PID(), err)
		}
	}
	return nil
}

// mapRing maps a part of a ring at its place. Since Linux 6.4 nobody can choose
// that (io_uring_get_unmapped_area, io_uring/memmap.c), neither for mmap nor for
// mremap. So all larger holes in memory that the kernel would prefer are plugged
// for a moment.
func mapRing(p place.Process, v *format.Vma, fd uint64) (err error) {
	size := v.End - v.Start
	mmap := func(at, flags uint64) (uint64, error) {
		return p.Call(unix.SYS_MMAP, at, size, uint64(v.Prot), unix.MAP_SHARED|flags, fd, v.Offset)
	}
	if _, err := mmap(v.Start, unix.MAP_FIXED_NOREPLACE); err == nil || !errors.Is(err, unix.EINVAL) {
		return err
	}
	var plugs []tracee.Call
	defer func() { err = errors.Join(err, place.RunAll(p, plugs)) }()
	const most = 1 << 16 // vm.max_map_count
	for range most {
		at, err := mmap(0, 0)
		if err != nil || at == v.Start {
			return err
		}
		if _, err := p.Call(unix.SYS_MUNMAP, at, size); err != nil {
			return err
		}
		start, length, err := hole(p.PID(), at, size, v)
		if err != nil {
			return err
		}
		if _, err := p.Call(unix.SYS_MMAP, start, length, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED_NOREPLACE, ^uint64(0), 0); err != nil {
			return fmt.Errorf("plug the hole at %#x: %w", start, err)
		}
		plugs = append(plugs, call(unix.SYS_MUNMAP, start, length))
	}
	return errors.New("the kernel does not find its place")
}

// hole is the hole in a process's memory that the kernel has chosen a place in,
// but for where the mapping belongs.
func hole(pid int, at, size uint64, v *format.Vma) (start, length uint64, err error) {
	areas, err := procfs.ReadMaps(pid)
	if err != nil {
		return 0, 0, err
	}
	end := at + size // nothing above: the kernel goes from above to below
	start = at
	for _, a := range areas {
		if a.End <= at {
			start = a.End
		}
		if a.Start >= at+size {
			end = a.Start
			break
		}
	}
	if len(areas) == 0 || areas[0].Start >= at+size {
		start = at
	}
	switch {
	case v.Start >= start && v.Start < end && at > v.Start:
		start = v.End
	case v.Start >= start && v.Start < end:
		end = v.Start
	}
	if end <= start {
		return 0, 0, fmt.Errorf("something is in its place")
	}
	return start, end - start, nil
}
