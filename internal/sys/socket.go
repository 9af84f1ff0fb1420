package sys

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// GetsockoptBytes is getsockopt(2) with a value of up to size bytes.
func GetsockoptBytes(fd, level, name, size int) ([]byte, error) {
	b := make([]byte, size)
	n := uint32(size)
	_, err := call6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(base(b)), uintptr(unsafe.Pointer(&n)), 0)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

// GetsockoptInOut is getsockopt(2) of an option whose value says what is asked
// for.
func GetsockoptInOut(fd, level, name int, value []byte) ([]byte, error) {
	n := uint32(len(value))
	_, err := call6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(base(value)), uintptr(unsafe.Pointer(&n)), 0)
	return value[:min(int(n), len(value))], err
}

// SocketFilter is getsockopt(2) of SO_GET_FILTER: n instructions of 8 bytes each
// in a buffer of size bytes. That option counts them instead of bytes.
func SocketFilter(fd, size int) (b []byte, n int, err error) {
	var count uint32
	_, err = call6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_GET_FILTER, 0, uintptr(unsafe.Pointer(&count)), 0)
	if err != nil || count == 0 {
		return nil, 0, err
	}
	b = make([]byte, size)
	_, err = call6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_GET_FILTER, uintptr(base(b)), uintptr(unsafe.Pointer(&count)), 0)
	return b, min(int(count), size/8), err
}

// AttachFilter is setsockopt(2) of SO_ATTACH_FILTER.
func AttachFilter(fd int, code []byte) error {
	f := struct { // struct sock_fprog
		length uint16
		filter unsafe.Pointer
	}{uint16(len(code) / 8), base(code)}
	_, err := call6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, uintptr(unsafe.Pointer(&f)), unsafe.Sizeof(f), 0)
	return err
}

// IntBytes is an int as socket options have it.
func IntBytes(v int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

// UnixAddress is getsockname(2) of a UNIX socket: the bytes of sun_path without
// the NUL byte that ends a path; empty if it is not bound (unix(7)).
func UnixAddress(fd int) ([]byte, error) { return unixAddress(unix.SYS_GETSOCKNAME, fd) }

// UnixPeerAddress is getpeername(2), in the same form.
func UnixPeerAddress(fd int) ([]byte, error) { return unixAddress(unix.SYS_GETPEERNAME, fd) }

func unixAddress(nr uintptr, fd int) ([]byte, error) {
	var a unix.RawSockaddrUnix
	n := uint32(unix.SizeofSockaddrUnix)
	if _, err := call6(nr, uintptr(fd), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&n)), 0, 0, 0); err != nil {
		return nil, err
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&a.Path)), len(a.Path))
	size := int(n) - int(unsafe.Offsetof(a.Path))
	if size <= 0 {
		return nil, nil
	}
	path := append([]byte(nil), b[:min(size, len(b))]...)
	if path[0] != 0 {
		for i, c := range path {
			if c == 0 {
				return path[:i], nil
			}
		}
	}
	return path, nil
}

// UnixDiag is what sock_diag(7) tells of a UNIX socket.
type UnixDiag struct {
	// Of a listening socket: connections that wait, and their limit. Of
	// another: bytes unread, and sent but unread.
	ReceiveQueue, SendQueue uint32
	// Low half of the inode number of the file it was bound to; 0 for none.
	FileInode uint32
	// It has a peer, whose inode number is 0 if no process has it any more, or
	// not yet.
	HasPeer  bool
	Peer     uint32
	Waiting  []uint32 // of a listening socket: inode numbers of those that wait to be accepted
	Shutdown uint8    // 1: nothing is received any more, 2: sent
}

// UnixDiagGet asks for the socket with an inode number, over a socket of
// NETLINK_SOCK_DIAG (include/uapi/linux/unix_diag.h).
func UnixDiagGet(fd int, ino uint32) (*UnixDiag, error) {
	const (
		byFamily                = 20
		headerSize, requestSize = 16, 24
		messageSize             = 16
		show                    = 2 | 4 | 8 | 16 // VFS, PEER, ICONS, RQLEN
		attrVFS, attrPeer       = 1, 2
		attrWaiting, attrQueues = 3, 4
		attrShutdown            = 6
	)
	ne := binary.NativeEndian
	req := make([]byte, headerSize+requestSize)
	ne.PutUint32(req, uint32(len(req)))
	ne.PutUint16(req[4:], byFamily)
	ne.PutUint16(req[6:], unix.NLM_F_REQUEST)
	b := req[headerSize:]
	b[0] = unix.AF_UNIX
	ne.PutUint32(b[4:], ^uint32(0)) // any state
	ne.PutUint32(b[8:], ino)
	ne.PutUint32(b[12:], show)
	ne.PutUint64(b[16:], ^uint64(0)) // whatever its cookie
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buf := make([]byte, 8192)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return nil, err
	}
	buf = buf[:n]
	if n < headerSize+4 {
		return nil, errors.New("a short answer")
	}
	if ne.Uint16(buf[4:]) == unix.NLMSG_ERROR {
		return nil, unix.Errno(-int32(ne.Uint32(buf[headerSize:])))
	}
	d := &UnixDiag{}
	for attrs := buf[min(n, headerSize+messageSize):]; len(attrs) >= 4; {
		size, typ := int(ne.Uint16(attrs)), ne.Uint16(attrs[2:])
		if size < 4 || size > len(attrs) {
			break
		}
		switch v := attrs[4:size]; {
		case typ == attrVFS && len(v) >= 8:
			d.FileInode = ne.Uint32(v)
		case typ == attrQueues && len(v) >= 8:
			d.ReceiveQueue, d.SendQueue = ne.Uint32(v), ne.Uint32(v[4:])
		case typ == attrPeer && len(v) >= 4:
			d.HasPeer, d.Peer = true, ne.Uint32(v)
		case typ == attrWaiting:
			for ; len(v) >= 4; v = v[4:] {
				d.Waiting = append(d.Waiting, ne.Uint32(v))
			}
		case typ == attrShutdown && len(v) >= 1:
			d.Shutdown = v[0]
		}
		attrs = attrs[min(len(attrs), (size+3)&^3):]
	}
	return d, nil
}
