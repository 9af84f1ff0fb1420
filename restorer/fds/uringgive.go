package fds

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// madeRing is a ring of io_uring where it was made: it has a descriptor of its
// own there until all rings are filled. No socket takes a ring since Linux 6.7
// (scm_fp_copy, net/core/scm.c), so who else is to have it gets it from there, by
// pidfd_getfd(2).
type madeRing struct {
	*sys.IoUringParams
	owner  place.Process
	number int // in the owner's table, above all numbers of the image
	filled *uring
}

// move brings the ring above the numbers of the image.
func (m *madeRing) move(from int, above uint32) error {
	to, err := m.owner.Call(unix.SYS_FCNTL, uint64(from), unix.F_DUPFD_CLOEXEC, uint64(above))
	if err != nil {
		return fmt.Errorf("no descriptor number above %d (raise the limit of open files): %w", above, err)
	}
	m.number = int(to)
	_, err = m.owner.Call(unix.SYS_CLOSE, uint64(from))
	return err
}

// give gives a task a descriptor of the ring. It may be the ring's own; borrowed
// says that it is not, and to be closed.
func (m *madeRing) give(p place.Process) (number int, borrowed bool, err error) {
	order, err := sys.Kcmp(p.PID(), m.owner.PID(), sys.KcmpFiles, 0, 0)
	if err != nil {
		return -1, false, fmt.Errorf("compare descriptor tables (kcmp): %w", err)
	}
	if order == 0 {
		return m.number, false, nil
	}
	pidfd, err := unix.PidfdOpen(m.owner.PID(), 0)
	if err != nil {
		const thread = unix.O_EXCL // PIDFD_THREAD, Linux 6.9
		if pidfd, err = unix.PidfdOpen(m.owner.PID(), thread); err != nil {
			return -1, false, err
		}
	}
	there, err := p.Send([]int{pidfd})
	unix.Close(pidfd)
	if err != nil {
		return -1, false, err
	}
	got, err := p.Call(unix.SYS_PIDFD_GETFD, uint64(there[0]), uint64(m.number), 0)
	if err != nil {
		return -1, false, fmt.Errorf("give a ring of io_uring to process %d (pidfd_getfd): %w", p.PID(), err)
	}
	_, err = p.Call(unix.SYS_CLOSE, uint64(there[0]))
	return int(got), true, err
}

// ringsThere gives a process the rings of its table, and says which descriptors
// are to stay until the rings are filled.
func (r *Restart) ringsThere(p place.Process, t *format.Files, each func(id uint32, number int)) (keep []int, err error) {
	seen := map[uint32]bool{}
	for _, d := range t.Descriptors {
		f := r.byID[d.OpenFile]
		if f.ring == nil || seen[d.OpenFile] {
			continue
		}
		seen[d.OpenFile] = true
		number, borrowed, err := f.ring.give(p)
		if err != nil {
			return nil, err
		}
		if borrowed { // it came to the lowest number, which may be one of the table
			high, err := p.Call(unix.SYS_FCNTL, uint64(number), unix.F_DUPFD_CLOEXEC, uint64(r.highest)+1)
			if err != nil {
				return nil, err
			}
			if _, err := p.Call(unix.SYS_CLOSE, uint64(number)); err != nil {
				return nil, err
			}
			number = int(high)
		}
		each(d.OpenFile, number)
	}
	for _, f := range r.files {
		if f.ring == nil {
			continue
		}
		if order, err := sys.Kcmp(p.PID(), f.ring.owner.PID(), sys.KcmpFiles, 0, 0); err == nil && order == 0 {
			keep = append(keep, f.ring.number)
		}
	}
	return keep, nil
}
