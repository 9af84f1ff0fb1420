// Package netlink speaks netlink(7): requests, their answers, and attributes. It
// knows nothing of what is said.
package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Message is one message of the kernel's, or to it.
type Message struct {
	Type  uint16
	Flags uint16
	Body  []byte
}

// Conn is a socket. It stays in the network namespace that it was made in,
// whoever uses it.
type Conn struct {
	fd       int
	sequence uint32
}

// Open makes a socket in the thread's network namespace.
func Open(protocol int) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// Errors with a sentence (NETLINK_EXT_ACK, Linux 4.12), without the request
	// that they are about.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	// A batch of packet filters is one message, and so are its acknowledgements.
	for _, option := range []int{unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 4<<20)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return &Conn{fd: fd}, nil
}

// Close closes the socket.
func (c *Conn) Close() { unix.Close(c.fd) }

// Do has the kernel do something.
func (c *Conn) Do(typ, flags uint16, body []byte) error {
	_, err := c.ask(typ, flags|unix.NLM_F_ACK, body)
	return err
}

// Get asks for what one message tells.
func (c *Conn) Get(typ uint16, body []byte) ([]Message, error) {
	return c.ask(typ, unix.NLM_F_ACK, body)
}

// Dump asks for all there is of something. What has changed meanwhile is asked
// again.
func (c *Conn) Dump(typ uint16, body []byte) ([]Message, error) {
	for range 20 {
		all, err := c.ask(typ, unix.NLM_F_DUMP, body)
		if !errors.Is(err, errChanged) && !errors.Is(err, unix.EINTR) {
			return all, err
		}
	}
	return nil, errChanged
}

var errChanged = errors.New("it changed whenever the kernel listed it")

func (c *Conn) ask(typ, flags uint16, body []byte) ([]Message, error) {
	c.sequence++
	return c.exchange(appendMessage(nil, typ, flags|unix.NLM_F_REQUEST, c.sequence, body), c.sequence, c.sequence)
}

// Batch sends messages as one, framed by begin and end, whose effect comes as
// a whole or not at all (nfnetlink). The last one has NLM_F_ACK. A message's error
// says which it is of.
func (c *Conn) Batch(begin, end Message, messages []Message) error {
	var b []byte
	first := c.sequence + 1
	for _, m := range append(append([]Message{begin}, messages...), end) {
		c.sequence++
		b = appendMessage(b, m.Type, m.Flags|unix.NLM_F_REQUEST, c.sequence, m.Body)
	}
	_, err := c.exchange(b, first, c.sequence-1)
	var e *Error
	if errors.As(err, &e) && e.sequence > first && int(e.sequence-first-1) < len(messages) {
		e.Index = int(e.sequence - first - 1)
	}
	return err
}

func appendMessage(b []byte, typ, flags uint16, sequence uint32, body []byte) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(body)))
	b = ne.AppendUint16(b, typ)
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint32(b, sequence)
	b = ne.AppendUint32(b, 0)
	return pad(append(b, body...))
}

// exchange sends bytes, and reads until the last of their messages is answered. What
// comes for others is left from a request that failed.
func (c *Conn) exchange(request []byte, first, last uint32) ([]Message, error) {
	if err := unix.Sendto(c.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	var all []Message
	changed := false
	buf := make([]byte, 256<<10)
	for {
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofNlMsghdr; {
			ne := binary.NativeEndian
			size := int(ne.Uint32(rest))
			if size < unix.SizeofNlMsghdr || size > len(rest) {
				return nil, errors.New("the kernel's answer is cut off")
			}
			m := Message{Type: ne.Uint16(rest[4:]), Flags: ne.Uint16(rest[6:]), Body: rest[unix.SizeofNlMsghdr:size]}
			sequence := ne.Uint32(rest[8:])
			rest = rest[min(len(rest), (size+3)&^3):]
			if sequence < first || sequence > last {
				continue
			}
			changed = changed || m.Flags&unix.NLM_F_DUMP_INTR != 0
			done, err := m.end(sequence)
			switch {
			case err != nil:
				return nil, err
			case !done:
				m.Body = append([]byte(nil), m.Body...)
				all = append(all, m)
			case sequence == last && changed:
				return nil, errChanged
			case sequence == last:
				return all, nil
			}
		}
	}
}

// end tells whether a message ends the answer to a request.
func (m *Message) end(sequence uint32) (bool, error) {
	if m.Type != unix.NLMSG_ERROR && m.Type != unix.NLMSG_DONE {
		return false, nil
	}
	if len(m.Body) < 4 {
		return m.Type == unix.NLMSG_DONE, nil
	}
	if errno := -int32(binary.NativeEndian.Uint32(m.Body)); errno > 0 {
		return true, &Error{Errno: unix.Errno(errno), Text: m.text(), Index: -1, sequence: sequence}
	}
	return true, nil
}

// text is the sentence that comes with an error.
func (m *Message) text() string {
	const acknowledged, sentence = 0x200, 1 // NLM_F_ACK_TLVS, NLMSGERR_ATTR_MSG
	header := 4 + unix.SizeofNlMsghdr       // NETLINK_CAP_ACK: without the request
	if m.Flags&acknowledged == 0 || len(m.Body) < header {
		return ""
	}
	attributes, _ := Parse(m.Body[header:])
	for _, a := range attributes {
		if a.Type == sentence {
			return unix.ByteSliceToString(a.Value)
		}
	}
	return ""
}

// Error is the kernel's.
type Error struct {
	Errno    unix.Errno
	Text     string // the kernel's sentence, often empty
	Index    int    // of a batch's message; -1: unknown
	sequence uint32
}

func (e *Error) Error() string {
	if e.Text != "" {
		return fmt.Sprintf("%v (%s)", e.Errno, e.Text)
	}
	return e.Errno.Error()
}

// Unwrap lets errors.Is find the errno.
func (e *Error) Unwrap() error { return e.Errno }
