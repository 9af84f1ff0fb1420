package fds

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
)

// makeQueues makes the POSIX message queues of the container's IPC namespaces, with
// their messages and all their open files.
func (r *Restart) makeQueues() error {
	in := map[uint32][]*format.MessageQueue{} // by namespace
	for _, q := range r.skeleton.MessageQueues {
		in[q.Namespace] = append(in[q.Namespace], q)
	}
	if len(in) > 0 {
		raiseQueueLimit()
	}
	for namespace, all := range in {
		if err := r.inIPC(namespace, func() error { return r.makeQueuesHere(all) }); err != nil {
			return err
		}
	}
	return nil
}

// inIPC runs f in an IPC namespace of the container.
func (r *Restart) inIPC(namespace uint32, f func() error) error {
	if r.InIPC == nil {
		return elsewhere.InIPC(r.root.PID(), f)
	}
	return r.InIPC(namespace, f)
}

// makeQueuesHere makes those of the IPC namespace that the thread is in. Those that
// were removed come first: each loses its name, which another one may have.
func (r *Restart) makeQueuesHere(all []*format.MessageQueue) error {
	if err := makeQueueRoom(all); err != nil {
		return err
	}
	for _, removed := range []bool{true, false} {
		for _, q := range all {
			if q.Removed != removed {
				continue
			}
			if err := r.makeQueue(q); err != nil {
				return fmt.Errorf("make POSIX message queue /%s of %d messages of %d bytes (RLIMIT_MSGQUEUE of the restart may be the limit): %w", q.Name, q.MostMessages, q.MessageSize, err)
			}
		}
	}
	return nil
}

// raiseQueueLimit lifts the limit of what one user's queues may have, as far as the
// restart may: the programs had their own (RLIMIT_MSGQUEUE).
func raiseQueueLimit() {
	const msgqueue = 12 // RLIMIT_MSGQUEUE
	var l unix.Rlimit
	if unix.Getrlimit(msgqueue, &l) != nil {
		return
	}
	if unix.Setrlimit(msgqueue, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}) != nil {
		_ = unix.Setrlimit(msgqueue, &unix.Rlimit{Cur: l.Max, Max: l.Max})
	}
}

// makeQueueRoom raises the settings of the namespace that the thread is in, so that all
// queues may be made: theirs may have been lowered since. The container's own
// values come later.
func makeQueueRoom(all []*format.MessageQueue) error {
	need := map[string]uint64{"queues_max": uint64(len(all))}
	for _, q := range all {
		need["msg_max"] = max(need["msg_max"], uint64(q.MostMessages))
		need["msgsize_max"] = max(need["msgsize_max"], uint64(q.MessageSize))
	}
	for name, least := range need {
		path := "/proc/sys/fs/mqueue/" + name
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return errors.New("this kernel has no POSIX message queues (CONFIG_POSIX_MQUEUE)")
		}
		if err != nil {
			return err
		}
		if now, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && now >= least {
			continue
		}
		if err := place.WriteSetting(path, strconv.FormatUint(least, 10)); err != nil {
			return err
		}
	}
	return nil
}

// makeQueue makes one queue and its open files, as the user it belongs to: his are
// counted.
func (r *Restart) makeQueue(q *format.MessageQueue) (err error) {
	name := string(q.Name)
	if err := sys.ThreadIdentity(q.Uid, q.Gid); err != nil {
		return fmt.Errorf("become user %d: %w", q.Uid, err)
	}
	fd, err := sys.MqOpen(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600,
		&sys.QueueAttributes{MostMessages: int64(q.MostMessages), MessageSize: int64(q.MessageSize)})
	if back := sys.ThreadIdentity(0, 0); back != nil || err != nil {
		return errors.Join(err, back)
	}
	defer unix.Close(fd)
	if err := unix.Fchmod(fd, q.Mode); err != nil {
		return err
	}
	for _, m := range q.Messages {
		if err := sys.MqSend(fd, m.Data, m.Priority); err != nil {
			return fmt.Errorf("queue a message of %d bytes: %w", len(m.Data), err)
		}
	}
	for _, f := range r.files {
		if m := f.GetMessageQueue(); m.GetQueue() == q.Id {
			if r.queued[f.Id], err = r.openQueue(name, f); err != nil {
				return err
			}
		}
	}
	if q.Removed {
		return sys.MqUnlink(name)
	}
	return nil
}

// openQueue opens a queue as the program had.
func (r *Restart) openQueue(name string, f *file) (fd int, err error) {
	m := f.GetMessageQueue()
	if m.Path == "" {
		fd, err = sys.MqOpen(name, int(f.Flags&(unix.O_ACCMODE|unix.O_NONBLOCK))|unix.O_CLOEXEC, 0, nil)
	} else {
		fd, err = r.lookupIn(m.MountNamespace, m.Path, int(f.Flags)&openFlags)
	}
	if err != nil {
		return -1, err
	}
	if f.Position != 0 {
		if _, err := unix.Seek(fd, f.Position, unix.SEEK_SET); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// makeMessageQueue hands out what makeQueues has opened.
func makeMessageQueue(_ context.Context, r *Restart, f *file) (int, error) {
	fd, ok := r.queued[f.Id]
	if !ok {
		return -1, errors.New("its queue is not there")
	}
	delete(r.queued, f.Id)
	return fd, nil
}

// notifyQueues registers those who are told of the next message (mq_notify(3)): by
// themselves, and late, since the kernel forgets whoever closes any descriptor of
// the queue.
func (r *Restart) notifyQueues() error {
	for _, q := range r.skeleton.MessageQueues {
		if q.Notification == nil {
			continue
		}
		number, ok := r.queueOf(q)
		if !ok || r.Task == nil {
			return fmt.Errorf("process %d has no descriptor of message queue /%s, of which it is told", q.Notification.Pid, q.Name)
		}
		if err := notify(r.Task(q.Notification.Pid), number, q.Notification); err != nil {
			return fmt.Errorf("have process %d told of messages in queue /%s: %w", q.Notification.Pid, q.Name, err)
		}
	}
	return nil
}

// notify registers a process, which is to be told as by its struct sigevent.
func notify(p place.Process, number uint32, n *format.QueueNotification) error {
	const size = 64 // of struct sigevent
	b := binary.NativeEndian.AppendUint64(nil, n.Value)
	b = binary.NativeEndian.AppendUint32(b, n.Signal)
	b = binary.NativeEndian.AppendUint32(b, n.Kind)
	addr, _ := p.Scratch()
	if err := p.Write(addr, append(b, make([]byte, size-len(b))...)); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_MQ_NOTIFY, uint64(number), addr)
	return err
}

// queueOf is a descriptor of a queue in the process that is told of messages.
func (r *Restart) queueOf(q *format.MessageQueue) (number uint32, ok bool) {
	p := r.skeleton.Process(q.Notification.Pid)
	if p == nil || len(p.Tasks) == 0 {
		return 0, false
	}
	for _, d := range r.skeleton.FilesByID(p.Tasks[0].Files).GetDescriptors() {
		o := r.skeleton.OpenFile(d.OpenFile)
		if o.GetMessageQueue().GetQueue() == q.Id && o.Flags&unix.O_PATH == 0 {
			return d.Number, true
		}
	}
	return 0, false
}
