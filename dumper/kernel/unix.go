package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"lxc-checkpoint/internal/sys"
)

// Arrival is a connection that waits to be accepted at a UNIX socket: the end that
// accept(2) will give out, to which no descriptor leads (struct unix_sock).
type Arrival struct {
	Inode    uint32 // of the socket at the other end; 0: that is closed
	Address  []byte // of the socket at the other end
	Shutdown uint8  // sk_shutdown
	Urgent   bool   // there is an urgent byte in it (MSG_OOB)
	// Credentials are those of who has connected (SO_PEERCRED).
	Credentials *Credentials
	Queue       []UnixMessage
}

// Credentials are struct ucred, and the groups of SO_PEERGROUPS.
type Credentials struct {
	PID      int // in the container; 0: it was outside
	UID, GID uint32
	Groups   []uint32
}

// UnixMessage is what was sent to a UNIX socket at once; of a stream, a part of it.
type UnixMessage struct {
	Data        []byte
	Credentials *Credentials // nil: none are with it
	Files       []uint64     // where the kernel has the files of SCM_RIGHTS
}

// Unix reads what is in UNIX sockets.
type Unix struct {
	*Memory
	level     uint64 // of the container's pid namespace
	namespace uint64
	room      int
}

// errRoom: there is more than Unix was told to read.
var errRoom = errors.New("there is more in it than can be saved")

// Unix begins to read UNIX sockets. Processes get the numbers that they have for
// first; up to so many bytes are read in all.
func (m *Memory) Unix(first uint64, room int) (*Unix, error) {
	u := &Unix{Memory: m, room: room}
	pid, err := m.word(first, "task_struct", "thread_pid")
	if err != nil {
		return nil, err
	}
	if u.level, err = m.number(pid, "pid", "level", 4); err != nil {
		return nil, err
	}
	const deepest = 32 // MAX_PID_NS_LEVEL
	if u.level > deepest {
		return nil, errors.New("a process of the kernel makes no sense")
	}
	_, u.namespace, err = u.numbered(pid)
	return u, err
}

// numbered is the number of a process in the container's pid namespace, if that is
// the one which is at the same depth.
func (u *Unix) numbered(pid uint64) (number int, namespace uint64, err error) {
	size, err := u.Size("upid")
	if err != nil {
		return 0, 0, err
	}
	at, err := u.member(pid, "pid", "numbers")
	if err != nil {
		return 0, 0, err
	}
	at += u.level * uint64(size)
	nr, err := u.number(at, "upid", "nr", 4)
	if err != nil {
		return 0, 0, err
	}
	namespace, err = u.word(at, "upid", "ns")
	return int(nr), namespace, err
}

// Number is the number in the container of a process that may have ended: a struct
// pid keeps it as long as anybody refers to it. 0: it was not of the container.
func (u *Unix) Number(pid uint64) (int, error) {
	level, err := u.number(pid, "pid", "level", 4)
	if err != nil || level < u.level {
		return 0, err
	}
	number, namespace, err := u.numbered(pid)
	if namespace != u.namespace {
		return 0, err
	}
	return number, err
}

// Waiting lists the connections that wait to be accepted at a listening socket, the
// first one first: each is behind a packet in its queue (unix_stream_connect,
// net/unix/af_unix.c).
func (u *Unix) Waiting(listener uint64) (all []*Arrival, err error) {
	err = u.queue(listener, func(skb uint64) error {
		sk, err := u.word(skb, "sk_buff", "sk")
		if err != nil {
			return err
		}
		a, err := u.arrival(sk)
		all = append(all, a)
		return err
	})
	return all, err
}

// queue calls each with every packet in a socket's queue, which has to have as many
// as the kernel counts.
func (u *Unix) queue(sk uint64, each func(skb uint64) error) error {
	head, err := u.member(sk, "sock", "sk_receive_queue")
	if err != nil {
		return err
	}
	length, err := u.number(head, "sk_buff_head", "qlen", 4)
	if err != nil {
		return err
	}
	if length > mostWaiting {
		return errRoom
	}
	n := uint64(0)
	skb, err := u.word(head, "sk_buff_head", "next")
	for ; err == nil && skb != head && n <= length; skb, err = u.word(skb, "sk_buff", "next") {
		n++
		if err := each(skb); err != nil {
			return err
		}
	}
	if err == nil && n != length {
		err = fmt.Errorf("a queue of the kernel has %d packets, and counts %d", n, length)
	}
	return err
}

func (u *Unix) arrival(sk uint64) (*Arrival, error) {
	a := &Arrival{}
	shut, err := u.number(sk, "sock", "sk_shutdown", 1)
	if err != nil {
		return nil, err
	}
	a.Shutdown = uint8(shut)
	if urgent, err := u.word(sk, "unix_sock", "oob_skb"); err == nil { // with CONFIG_AF_UNIX_OOB
		a.Urgent = urgent != 0
	}
	if err := u.otherEnd(sk, a); err != nil {
		return nil, err
	}
	if a.Credentials, err = u.peerCredentials(sk); err != nil {
		return nil, err
	}
	return a, u.queue(sk, func(skb uint64) error {
		m, err := u.message(skb)
		a.Queue = append(a.Queue, m)
		return err
	})
}

// otherEnd finds who is at the other end; the kernel keeps a closed socket as long as
// somebody is connected to it.
func (u *Unix) otherEnd(sk uint64, a *Arrival) error {
	peer, err := u.word(sk, "unix_sock", "peer")
	if err != nil {
		return err
	}
	socket, err := u.word(peer, "sock", "sk_socket")
	if err != nil {
		return err
	}
	if socket != 0 {
		inode, err := u.member(socket, "socket_alloc", "vfs_inode")
		if err != nil {
			return err
		}
		n, err := u.word(inode, "inode", "i_ino")
		if err != nil {
			return err
		}
		a.Inode = uint32(n)
	}
	address, err := u.word(peer, "unix_sock", "addr")
	if err != nil || address == 0 {
		return err
	}
	length, err := u.number(address, "unix_address", "len", 4)
	if err != nil {
		return err
	}
	const longest = 110 // struct sockaddr_un
	name, err := u.member(address, "unix_address", "name")
	if err != nil {
		return err
	}
	raw, err := u.bytes(name, uint32(min(length, longest)))
	a.Address = append([]byte(nil), sys.UnixPath(raw)...)
	return err
}

func (u *Unix) peerCredentials(sk uint64) (*Credentials, error) {
	pid, err := u.word(sk, "sock", "sk_peer_pid")
	if err != nil {
		return nil, err
	}
	cred, err := u.word(sk, "sock", "sk_peer_cred")
	if err != nil || pid == 0 || cred == 0 {
		return nil, err
	}
	c := &Credentials{}
	if c.PID, err = u.Number(pid); err != nil {
		return nil, err
	}
	for name, to := range map[string]*uint32{"euid": &c.UID, "egid": &c.GID} {
		id, err := u.number(cred, "cred", name, 4)
		if err != nil {
			return nil, err
		}
		*to = uint32(id)
	}
	groups, err := u.word(cred, "cred", "group_info")
	if err != nil {
		return nil, err
	}
	n, err := u.number(groups, "group_info", "ngroups", 4)
	if err != nil {
		return nil, err
	}
	const most = 65536 // NGROUPS_MAX
	if n > most {
		return nil, errors.New("credentials of the kernel make no sense")
	}
	at, err := u.member(groups, "group_info", "gid")
	if err != nil {
		return nil, err
	}
	b, err := u.bytes(at, uint32(4*n))
	for ; len(b) >= 4; b = b[4:] {
		c.Groups = append(c.Groups, binary.NativeEndian.Uint32(b))
	}
	return c, err
}

// message reads a packet (struct unix_skb_parms, include/net/af_unix.h).
func (u *Unix) message(skb uint64) (m UnixMessage, err error) {
	size, err := u.number(skb, "sk_buff", "len", 4)
	if err != nil {
		return m, err
	}
	if u.room -= int(size); u.room < 0 {
		return m, errRoom
	}
	if m.Data, err = u.buffer(skb); err != nil {
		return m, err
	}
	at, err := u.member(skb, "sk_buff", "cb")
	if err != nil {
		return m, err
	}
	read, err := u.number(at, "unix_skb_parms", "consumed", 4)
	if err != nil {
		return m, err
	}
	if read > uint64(len(m.Data)) {
		return m, errors.New("a packet of the kernel makes no sense")
	}
	m.Data = m.Data[read:]
	if m.Credentials, err = u.sender(at); err != nil {
		return m, err
	}
	list, err := u.word(at, "unix_skb_parms", "fp")
	if err != nil || list == 0 {
		return m, err
	}
	n, err := u.number(list, "scm_fp_list", "count", 2)
	if err != nil {
		return m, err
	}
	const most = 253 // SCM_MAX_FD
	if n > most {
		return m, errors.New("descriptors in flight in the kernel make no sense")
	}
	files, err := u.member(list, "scm_fp_list", "fp")
	if err != nil {
		return m, err
	}
	b, err := u.bytes(files, uint32(8*n))
	for ; len(b) >= 8; b = b[8:] {
		m.Files = append(m.Files, binary.NativeEndian.Uint64(b))
	}
	return m, err
}

// sender is who has sent a packet; nil if that was not noted.
func (u *Unix) sender(at uint64) (*Credentials, error) {
	pid, err := u.word(at, "unix_skb_parms", "pid")
	if err != nil || pid == 0 {
		return nil, err
	}
	c := &Credentials{}
	if c.PID, err = u.Number(pid); err != nil {
		return nil, err
	}
	for name, to := range map[string]*uint32{"uid": &c.UID, "gid": &c.GID} {
		id, err := u.number(at, "unix_skb_parms", name, 4)
		if err != nil {
			return nil, err
		}
		*to = uint32(id)
	}
	return c, nil
}

// Senders tells the numbers in the container of those who have sent what is in a
// socket's queue, by their numbers on the host: also of those who have ended.
func (u *Unix) Senders(sk uint64) (numbers map[int]int, err error) {
	numbers = map[int]int{}
	return numbers, u.queue(sk, func(skb uint64) error {
		at, err := u.member(skb, "sk_buff", "cb")
		if err != nil {
			return err
		}
		pid, err := u.word(at, "unix_skb_parms", "pid")
		if err != nil || pid == 0 {
			return err
		}
		all, err := u.member(pid, "pid", "numbers")
		if err != nil {
			return err
		}
		host, err := u.number(all, "upid", "nr", 4)
		if err != nil {
			return err
		}
		numbers[int(host)], err = u.Number(pid)
		return err
	})
}
