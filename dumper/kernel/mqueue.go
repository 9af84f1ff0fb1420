package kernel

import (
	"errors"
	"fmt"
	"os"
)

// QueuedMessage is a message in a POSIX message queue.
type QueuedMessage struct {
	Priority uint32
	Data     []byte
}

// Queue is what no call tells of a POSIX message queue (struct
// mqueue_inode_info, ipc/mqueue.c).
type Queue struct {
	Messages []QueuedMessage // in the order in which they will be received
	Value    uint64          // sigev_value of who is registered
}

// Queue reads a POSIX message queue that is open here as fd. It holds n messages of
// up to most bytes in all.
func (m *Memory) Queue(fd, n, most int) (*Queue, error) {
	task, err := m.ourselves()
	if err != nil {
		return nil, err
	}
	file, err := m.file(task, uint32(fd))
	if err != nil {
		return nil, err
	}
	inode, err := m.word(file, "file", "f_inode")
	if err != nil {
		return nil, err
	}
	at, err := m.Member("mqueue_inode_info", "vfs_inode")
	if err != nil {
		return nil, err
	}
	info := inode - uint64(at)
	q := &Queue{}
	if q.Value, err = m.word(info, "mqueue_inode_info", "notify.sigev_value"); err != nil {
		return nil, err
	}
	root, err := m.word(info, "mqueue_inode_info", "msg_tree.rb_node")
	if err != nil {
		return nil, err
	}
	r := &queueReader{Memory: m, left: n, room: most}
	if err := r.node(root, 0); err != nil {
		return nil, err
	}
	if r.left != 0 {
		return nil, fmt.Errorf("%d messages of a queue are not found", r.left)
	}
	q.Messages = r.found
	return q, nil
}

// queueReader gathers messages; left and room bound how many, and their bytes.
type queueReader struct {
	*Memory
	left, room int
	found      []QueuedMessage
}

var errQueue = errors.New("a message queue of the kernel makes no sense")

// node reads a node of the tree of priorities (struct posix_msg_tree_node): those
// with higher ones are on its right.
func (r *queueReader) node(at uint64, depth int) error {
	if at == 0 {
		return nil
	}
	const deepest = 40 // of a red-black tree of 2^16 nodes, 32
	if depth > deepest {
		return errQueue
	}
	right, err := r.word(at, "rb_node", "rb_right")
	if err != nil {
		return err
	}
	if err := r.node(right, depth+1); err != nil {
		return err
	}
	link, err := r.Member("posix_msg_tree_node", "rb_node")
	if err != nil {
		return err
	}
	if err := r.list(at - uint64(link)); err != nil {
		return err
	}
	left, err := r.word(at, "rb_node", "rb_left")
	if err != nil {
		return err
	}
	return r.node(left, depth+1)
}

// list reads the messages of one priority, the oldest first.
func (r *queueReader) list(node uint64) error {
	priority, err := r.number(node, "posix_msg_tree_node", "priority", 4)
	if err != nil {
		return err
	}
	head, err := r.member(node, "posix_msg_tree_node", "msg_list")
	if err != nil {
		return err
	}
	link, err := r.Member("msg_msg", "m_list")
	if err != nil {
		return err
	}
	next, err := r.word(head, "list_head", "next")
	for ; err == nil && next != head; next, err = r.word(next, "list_head", "next") {
		if r.left--; r.left < 0 {
			return errQueue
		}
		data, err := r.message(next - uint64(link))
		if err != nil {
			return err
		}
		r.found = append(r.found, QueuedMessage{uint32(priority), data})
	}
	return err
}

// message reads a struct msg_msg: what it has room for in its page lies behind it,
// the rest in segments of a page each (alloc_msg, ipc/msgutil.c).
func (r *queueReader) message(at uint64) ([]byte, error) {
	size, err := r.number(at, "msg_msg", "m_ts", 8)
	if err != nil {
		return nil, err
	}
	if size > uint64(r.room) {
		return nil, errQueue
	}
	r.room -= int(size)
	data := make([]byte, size)
	header, err := r.Size("msg_msg")
	if err != nil {
		return nil, err
	}
	next, err := r.word(at, "msg_msg", "next")
	if err != nil {
		return nil, err
	}
	for rest := data; ; {
		n := min(len(rest), os.Getpagesize()-int(header))
		if err := r.Read(at+uint64(header), rest[:n]); err != nil {
			return nil, err
		}
		if rest = rest[n:]; len(rest) == 0 {
			return data, nil
		}
		if at = next; at == 0 {
			return nil, errQueue
		}
		header = 8 // struct msg_msgseg: a pointer to the next
		if next, err = r.word(at, "msg_msgseg", "next"); err != nil {
			return nil, err
		}
	}
}
