package fds

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/image/format"
)

const (
	unixListener   = "listening UNIX socket"
	untilAccepted  = "let the program go on until it has accepted it"
	mostInBacklogs = 16 << 20 // bytes, in all
)

// findWaiting finds who waits to be accepted. Of those the program can't have
// the other end yet, so that sock_diag tells no inode number of it, and what was
// sent to it can't be peeked at: only the kernel's memory tells that.
func (w *walk) findWaiting(l *unixSocket) error {
	if len(l.diag.Waiting) == 0 {
		return nil
	}
	for _, ino := range l.diag.Waiting {
		u := w.unixByInode[ino]
		if u == nil && ino != 0 {
			return l.file.refuse(unixListener, "a connection from outside the container waits to be accepted", "let the program go on until it has accepted it, or end the process outside")
		}
		if u == nil {
			l.Waiting = append(l.Waiting, 0)
			continue
		}
		u.Peer = l.file.Id
		l.Waiting = append(l.Waiting, u.file.Id)
	}
	all, why := w.arrivals(l)
	for i, ino := range l.diag.Waiting {
		u := w.unixByInode[ino]
		switch {
		case why == nil:
			if err := w.arrival(l, u, all[i]); err != nil {
				return err
			}
		case u == nil:
			return l.file.refuseNow(unixListener, "a connection waits to be accepted whose other end is closed already, and only the kernel's memory tells of it, which can't be read: "+why.Error(), untilAccepted)
		case u.pending > 0:
			return l.file.refuseNow(unixListener, fmt.Sprintf("a connection waits to be accepted that %d bytes of memory were already sent over, and only the kernel's memory tells of them, which can't be read: %v", u.pending, why), untilAccepted)
		}
	}
	return nil
}

// arrivals reads those who wait in the kernel's memory: the same ones.
func (w *walk) arrivals(l *unixSocket) ([]*kernel.Arrival, error) {
	r, sk, err := w.unixInKernel(l.file)
	if err != nil {
		return nil, err
	}
	all, err := r.Waiting(sk)
	if err != nil {
		return nil, err
	}
	same := len(all) == len(l.diag.Waiting)
	for i := 0; same && i < len(all); i++ {
		same = all[i].Inode == l.diag.Waiting[i]
		if u := w.unixByInode[all[i].Inode]; u != nil {
			same = same && (u.pending > 0) == (len(all[i].Queue) > 0)
		}
	}
	if !same {
		return nil, fmt.Errorf("%d connections are there that can't be those", len(all))
	}
	return all, nil
}

// unixInKernel begins to read a UNIX socket in the kernel's memory.
func (w *walk) unixInKernel(f *file) (r *kernel.Unix, sk uint64, err error) {
	memory, task, number, err := w.kernelMemory(f)
	if err != nil {
		return nil, 0, err
	}
	if sk, err = memory.Socket(task, number); err != nil {
		return nil, 0, err
	}
	first := w.Facts[w.First]
	if first == nil || first.Address == 0 {
		return nil, 0, errors.New("the container's first process was not found in the kernel")
	}
	r, err = memory.Unix(first.Address, mostInBacklogs-w.inBacklogs)
	return r, sk, err
}

// arrival notes one; u is its other end, nil if that is closed.
func (w *walk) arrival(l, u *unixSocket, a *kernel.Arrival) error {
	if a.Urgent {
		return l.file.refuseNow(unixListener, "a connection waits to be accepted, and there is an urgent byte in it (MSG_OOB), which is not checkpointed", untilAccepted)
	}
	m := &format.UnixArrival{}
	l.Arrivals = append(l.Arrivals, m)
	if u == nil {
		m.Address = a.Address
	}
	if c := a.Credentials; c != nil {
		m.Credentials = &format.PeerCredentials{Pid: uint32(c.PID), Uid: c.UID, Gid: c.GID, Groups: c.Groups}
	}
	for _, q := range a.Queue {
		w.inBacklogs += len(q.Data)
		message := &format.UnixMessage{Data: q.Data}
		if c := q.Credentials; c != nil {
			if c.PID == 0 {
				return l.file.refuseNow(unixListener, "a connection waits to be accepted, and what was sent over it has the credentials of a process outside the container", untilAccepted)
			}
			message.Credentials = &format.PeerCredentials{Pid: uint32(c.PID), Uid: c.UID, Gid: c.GID}
		}
		for _, file := range q.Files {
			known, err := w.inKernel()
			if err != nil {
				return err
			}
			id := known.files[file]
			if id == 0 {
				return l.file.refuseNow(unixListener, "a connection waits to be accepted, and a descriptor was sent over it (SCM_RIGHTS) that no process has any more", "let the program go on until it has accepted it, and received the descriptor")
			}
			message.Rights = append(message.Rights, id)
		}
		m.Queue = appendMessage(m.Queue, message, l.Type == unix.SOCK_STREAM)
	}
	return nil
}

// appendMessage appends what was sent: to the last one, if nobody could tell that it
// was sent by itself.
func appendMessage(queue []*format.UnixMessage, m *format.UnixMessage, stream bool) []*format.UnixMessage {
	if n := len(queue); n > 0 && stream {
		last := queue[n-1]
		if len(last.Rights)+len(m.Rights) == 0 && proto.Equal(last.Credentials, m.Credentials) {
			last.Data = append(last.Data, m.Data...)
			return queue
		}
	}
	return append(queue, m)
}
