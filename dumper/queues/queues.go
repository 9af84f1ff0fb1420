// Package queues looks at POSIX message queues: what each is like, who is told of
// messages, and the messages in it, which stay there.
package queues

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// Kind is what a refusal calls them.
const Kind = "POSIX message queue"

// Looker looks at the queues of the container's IPC namespaces, all of whose tasks
// are stopped.
type Looker struct {
	IDs *view.IDs
	// Namespaces are those (MessageQueue.namespace), by the number of the file system
	// that each has of its queues.
	Namespaces map[uint64]uint32
	// Kernel reads the kernel's memory, where it has some task at the address Task.
	// Nil: nobody can.
	Kernel func() (view.Kernel, error)
	Task   uint64
	// Tasks are the numbers in the container's pid namespace by the host's.
	Tasks map[int]uint32

	// Found are all that were looked at.
	Found []*format.MessageQueue
	known map[inode]*format.MessageQueue
	// Of those that were looked at by name, what can't be saved, by inode: until a
	// descriptor of it is found, whose process the refusal names.
	unheld map[inode]*refusal.Refusal
}

type inode struct{ device, number uint64 }

func inodeOf(st *unix.Stat_t) inode { return inode{st.Dev, st.Ino} }

// Named looks at the queue with a name in the namespace's directory.
func (l *Looker) Named(directory int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(directory, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("message queue /%s: %w", name, err)
	}
	_, err := l.Of(name, &st, func(flags int) (int, error) { return unix.Openat(directory, name, flags, 0) })
	var refused *refusal.Refusal
	if !errors.As(err, &refused) {
		return err
	}
	if l.unheld == nil {
		l.unheld = map[inode]*refusal.Refusal{}
	}
	l.unheld[inodeOf(&st)] = refused
	return nil
}

// Refused are the refusals of queues that have a name and that nobody has open.
func (l *Looker) Refused() (list refusal.List) {
	for _, inode := range slices.SortedFunc(maps.Keys(l.unheld), func(a, b inode) int {
		return cmp.Or(cmp.Compare(a.device, b.device), cmp.Compare(a.number, b.number))
	}) {
		list = append(list, l.unheld[inode])
	}
	return list
}

// Is tells whether a file is a message queue: of those, all have the same size.
func Is(path string, st *unix.Stat_t) bool {
	const size, magic = 80, 0x19800202 // FILENT_SIZE and MQUEUE_MAGIC, ipc/mqueue.c
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != size {
		return false
	}
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == magic
}

// Of looks at a queue, once; st is what stat tells of it. open opens it again, with
// flags. What can't be saved is a *refusal.Refusal, without those who have it.
func (l *Looker) Of(name string, st *unix.Stat_t, open func(flags int) (fd int, err error)) (*format.MessageQueue, error) {
	namespace, ok := l.Namespaces[st.Dev]
	if !ok {
		return nil, &refusal.Refusal{Kind: Kind, Reason: "it belongs to an IPC namespace that is not the container's",
			Remedy: "end the program that uses it, or close it, before the checkpoint"}
	}
	if q := l.known[inodeOf(st)]; q != nil {
		return q, nil
	}
	fd, err := open(unix.O_RDWR | unix.O_NONBLOCK | unix.O_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open message queue /%s: %w", name, err)
	}
	defer unix.Close(fd)
	q := &format.MessageQueue{Id: l.IDs.Next(), Name: []byte(name), Removed: st.Nlink == 0, Mode: st.Mode & 0o7777, Uid: st.Uid, Gid: st.Gid, Namespace: namespace}
	delete(l.unheld, inodeOf(st))
	if err := l.look(q, fd); err != nil {
		return nil, err
	}
	l.Found = append(l.Found, q)
	if l.known == nil {
		l.known = map[inode]*format.MessageQueue{}
	}
	l.known[inodeOf(st)] = q
	return q, nil
}

func (l *Looker) look(q *format.MessageQueue, fd int) error {
	a, err := sys.MqAttributes(fd)
	if err != nil {
		return fmt.Errorf("message queue /%s: %w", q.Name, err)
	}
	q.MostMessages, q.MessageSize = uint32(a.MostMessages), uint32(a.MessageSize)
	bytes, err := l.registered(q, fd)
	if err != nil {
		return err
	}
	if bytes > format.MaxQueued {
		return refuse(q, fmt.Sprintf("%d bytes of messages wait in it, and a statefile has room for %d", bytes, format.MaxQueued), "checkpoint again when the program has received some")
	}
	memory, err := l.memory()
	if err != nil {
		if q.Notification != nil {
			return refuse(q, "a process waits for a message by mq_notify, and only eBPF tells with which value: "+err.Error(), "checkpoint with eBPF (without --no-bpf, on a kernel with BTF), or have the program take the registration back")
		}
		q.Messages, err = take(fd, int(a.Messages), int(a.MessageSize))
		if err != nil {
			return fmt.Errorf("message queue /%s: %w", q.Name, err)
		}
		return nil
	}
	more, err := memory.Queue(fd, int(a.Messages), bytes)
	if err != nil {
		return fmt.Errorf("message queue /%s: %w", q.Name, err)
	}
	for _, m := range more.Messages {
		q.Messages = append(q.Messages, &format.QueuedMessage{Priority: m.Priority, Data: m.Data})
	}
	if q.Notification != nil {
		q.Notification.Value = more.Value
	}
	return nil
}

func (l *Looker) memory() (*kernel.Memory, error) {
	if l.Kernel == nil || l.Task == 0 {
		return nil, errors.New("there is none")
	}
	k, err := l.Kernel()
	if err != nil {
		return nil, err
	}
	return kernel.New(k, l.Task), nil
}

// registered reads what the file of a queue tells (mqueue_read_file, ipc/mqueue.c):
// "QSIZE:129 NOTIFY:0 SIGNO:10 NOTIFY_PID:8260": how many bytes wait, and who is
// registered by mq_notify(3).
func (l *Looker) registered(q *format.MessageQueue, fd int) (size int, err error) {
	b := make([]byte, 200)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return 0, fmt.Errorf("read message queue /%s: %w", q.Name, err)
	}
	words := map[string]int{}
	text := string(bytes.TrimRight(b[:n], "\x00\n "))
	for _, f := range strings.Fields(text) {
		key, value, _ := strings.Cut(f, ":")
		number, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("the kernel tells of message queue /%s in a form that is not known: %q", q.Name, text)
		}
		words[key] = number
	}
	pid := words["NOTIFY_PID"]
	if pid == 0 {
		return words["QSIZE"], nil
	}
	number, known := l.Tasks[pid]
	if !known {
		return 0, refuse(q, fmt.Sprintf("process %d, which is told of its next message, is outside of the container", pid), "end that process")
	}
	kind := words["NOTIFY"]
	if kind != sigevSignal && kind != sigevNone {
		return 0, refuse(q, fmt.Sprintf("process %d waits for its next message with SIGEV_THREAD, by a socket between the kernel and its C library", number), "have the program use SIGEV_SIGNAL, or end it before the checkpoint")
	}
	q.Notification = &format.QueueNotification{Pid: number, Kind: uint32(kind), Signal: uint32(words["SIGNO"])}
	return words["QSIZE"], nil
}

// Ways of telling of a message (sigevent(3type)).
const (
	sigevSignal = 0
	sigevNone   = 1
)

func refuse(q *format.MessageQueue, reason, remedy string) error {
	object := "the container's IPC namespace, /"
	if q.Namespace != 0 {
		object = "an IPC namespace that a program made, /"
	}
	return &refusal.Refusal{Object: object + string(q.Name), Kind: Kind, Reason: reason, Remedy: remedy}
}
