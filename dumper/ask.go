package dumper

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/tracee"
)

// askSocket makes a call of getsockopt(2) in a task: what it tells of processes
// are their numbers in the container then, also of those that have ended.
func (l *looking) askSocket(task, fd, level, name, size int) (value []byte, err error) {
	err = l.held.Do(func() error {
		t := l.thread(task)
		if t == nil {
			return fmt.Errorf("task %d is not one of the container's", task)
		}
		r, err := t.Remote(l.ctx)
		if err != nil {
			return err
		}
		defer func() {
			if e := r.Close(); e != nil && err == nil {
				err = e
			}
		}()
		addr, err := r.Scratch(8 + size)
		if err != nil {
			return err
		}
		if err := r.Write(addr, binary.LittleEndian.AppendUint64(nil, uint64(size))); err != nil {
			return err
		}
		if _, err := r.Call(unix.SYS_GETSOCKOPT, uint64(fd), uint64(level), uint64(name), addr+8, addr); err != nil {
			return err
		}
		value = make([]byte, size)
		return r.Read(addr+8, value)
	})
	return value, err
}

// enterRing has a task do the kernel's work for it that waits: it enters a ring of
// io_uring, submits nothing, and waits for nothing.
func (l *looking) enterRing(task, fd int) error {
	return l.held.Do(func() error {
		t := l.thread(task)
		if t == nil {
			return nil // it has ended
		}
		r, err := t.Remote(l.ctx)
		if err != nil {
			return err
		}
		_, err = r.Call(unix.SYS_IO_URING_ENTER, uint64(fd), 0, 0, sys.UringEnterGetEvents)
		return errors.Join(err, r.Close())
	})
}

// thread finds a held thread by its number on the host.
func (l *looking) thread(task int) *tracee.Thread {
	for _, p := range l.held.Processes() {
		for _, t := range p.Threads {
			if t.TID() == task {
				return t
			}
		}
	}
	return nil
}
