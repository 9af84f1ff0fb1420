package fds

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// Holder is a task with the descriptor table that it has.
type Holder struct {
	Process uint32 // its process in the container
	Table   uint32
	Task    place.Process
}

// Lock takes the locks on files again, and the leases. It comes after Close:
// who closes any descriptor of a file loses the record locks of its table
// (fcntl(2)), and a lease is not given while others have the file open.
func (r *Restart) Lock(holders []Holder) error {
	for _, t := range r.skeleton.Files {
		for _, l := range t.Locks {
			h := holder(holders, l.Pid, func(h *Holder) bool { return h.Table == t.Id })
			if err := r.lock(h, l, l.Number); err != nil {
				return fmt.Errorf("descriptor %d of table %d: %w", l.Number, t.Id, err)
			}
		}
	}
	numbers := map[uint32]map[uint32]uint32{} // of an open file in tables
	for _, t := range r.skeleton.Files {
		for _, d := range t.Descriptors {
			if len(r.byID[d.OpenFile].Locks) == 0 {
				continue
			}
			if numbers[d.OpenFile] == nil {
				numbers[d.OpenFile] = map[uint32]uint32{}
			}
			if _, have := numbers[d.OpenFile][t.Id]; !have {
				numbers[d.OpenFile][t.Id] = d.Number
			}
		}
	}
	for _, f := range r.files {
		for _, l := range f.Locks {
			h := holder(holders, l.Pid, func(h *Holder) bool { _, has := numbers[f.Id][h.Table]; return has })
			if h == nil {
				return fmt.Errorf("%s has a lock, but no process has it", r.name(f))
			}
			if err := r.lock(h, l, numbers[f.Id][h.Table]); err != nil {
				return fmt.Errorf("%s: %w", r.name(f), err)
			}
		}
	}
	return nil
}

// holder finds who takes a lock: the process that had taken it, since its
// number can be asked for (F_GETLK, /proc/locks), or another that can.
func holder(holders []Holder, pid uint32, can func(*Holder) bool) *Holder {
	var other *Holder
	for i := range holders {
		h := &holders[i]
		switch {
		case !can(h):
		case h.Process == pid:
			return h
		case other == nil:
			other = h
		}
	}
	return other
}

func (r *Restart) lock(h *Holder, l *format.FileLock, number uint32) error {
	if h == nil {
		return errors.New("it has a lock, but no process has it")
	}
	err := take(h.Task, l, number)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
		return fmt.Errorf("process %d had a %s on its file, which somebody outside the container has now locked or opened: have them end that (lslocks shows who it is): %w",
			h.Process, lockName(l), err)
	case err != nil:
		return fmt.Errorf("take the %s of process %d again: %w", lockName(l), h.Process, err)
	}
	return nil
}

// take takes a lock in a process, without waiting.
func take(p place.Process, l *format.FileLock, number uint32) error {
	switch l.Kind {
	case format.LockKind_LOCK_FLOCK:
		how := unix.LOCK_SH
		if l.Exclusive {
			how = unix.LOCK_EX
		}
		_, err := p.Call(unix.SYS_FLOCK, uint64(number), uint64(how|unix.LOCK_NB))
		return err
	case format.LockKind_LOCK_LEASE:
		_, err := p.Call(unix.SYS_FCNTL, uint64(number), unix.F_SETLEASE, uint64(lockType(l)))
		return err
	}
	command := uint64(unix.F_SETLK)
	if l.Kind == format.LockKind_LOCK_DESCRIPTION {
		command = unix.F_OFD_SETLK
	}
	arg := unix.Flock_t{Type: lockType(l), Start: l.Start, Len: l.Length}
	addr, _ := p.Scratch()
	if err := p.Write(addr, unsafe.Slice((*byte)(unsafe.Pointer(&arg)), unsafe.Sizeof(arg))); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_FCNTL, uint64(number), command, addr)
	return err
}

func lockType(l *format.FileLock) int16 {
	if l.Exclusive {
		return unix.F_WRLCK
	}
	return unix.F_RDLCK
}

func lockName(l *format.FileLock) string {
	switch l.Kind {
	case format.LockKind_LOCK_FLOCK:
		return "lock (flock)"
	case format.LockKind_LOCK_LEASE:
		return "lease"
	}
	return "record lock"
}
