package dumper

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

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
