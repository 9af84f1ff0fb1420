// Package heir lets one process see to what another one had still to put back when
// it was killed: options of sockets, each of which it is given with the values that
// the socket has to have. What was put back is forgotten.
package heir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// Option is a socket option with its value. SO_ATTACH_FILTER has the instructions,
// and none for no filter.
type Option struct {
	Level, Name int
	Value       []byte
}

// Int is an option that is an int.
func Int(level, name, value int) Option { return Option{level, name, sys.IntBytes(value)} }

// Set sets the option.
func (o Option) Set(fd int) error {
	if o.Level == unix.SOL_SOCKET && o.Name == unix.SO_ATTACH_FILTER {
		if len(o.Value) == 0 {
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		}
		return sys.AttachFilter(fd, o.Value)
	}
	return unix.SetsockoptString(fd, o.Level, o.Name, string(o.Value))
}

// Testator is who may be killed. Nil: nobody inherits.
type Testator struct {
	mutex sync.Mutex
	fd    int
	last  uint64
}

// variable is set in the environment of the testator: the number of its socket.
const variable = "LXC_CHECKPOINT_HEIR"

// Leave tells the heir what to set, in this order, if we can't. forget takes it back.
func (t *Testator) Leave(fd int, options ...Option) (forget func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.last++
	id := t.last
	message := binary.NativeEndian.AppendUint64(nil, id)
	for _, o := range options {
		for _, n := range []int{o.Level, o.Name, len(o.Value)} {
			message = binary.NativeEndian.AppendUint32(message, uint32(n))
		}
		message = append(message, o.Value...)
	}
	if err := unix.Sendmsg(t.fd, message, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL); err != nil {
		return nil, fmt.Errorf("tell the process that waits for us what to put back: %w", err)
	}
	return func() {
		t.mutex.Lock()
		defer t.mutex.Unlock()
		_ = unix.Sendmsg(t.fd, message[:8], nil, nil, unix.MSG_NOSIGNAL)
	}, nil
}

// Inherited finds the testator's end in a process that was started with Heir.Give;
// nil if it was not.
func Inherited() *Testator {
	fd, err := strconv.Atoi(os.Getenv(variable))
	_ = os.Unsetenv(variable)
	if err != nil {
		return nil
	}
	unix.CloseOnExec(fd)
	return &Testator{fd: fd}
}

// Heir is who inherits.
type Heir struct {
	ours, theirs int
	left         map[uint64]will
	done         chan struct{}
}

type will struct {
	fd      int
	options []Option
}

// New makes one.
func New() (*Heir, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &Heir{ours: pair[0], theirs: pair[1], left: map[uint64]will{}, done: make(chan struct{})}, nil
}

// Give is what the testator's environment needs. Its end has whatever number it has
// here: those that the user has given are his.
func (h *Heir) Give() (environment string, err error) {
	if _, err := unix.FcntlInt(uintptr(h.theirs), unix.F_SETFD, 0); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s=%d", variable, h.theirs), nil
}

// Listen begins, when the testator has begun.
func (h *Heir) Listen() {
	unix.Close(h.theirs)
	go func() {
		defer close(h.done)
		for h.receive() {
		}
		unix.Close(h.ours)
	}()
}

// receive takes one message; false: there will be no more.
func (h *Heir) receive() bool {
	const most = 1 << 16 // a filter has up to 4096 instructions
	b, control := make([]byte, most), make([]byte, unix.CmsgSpace(4))
	n, c, _, _, err := unix.Recvmsg(h.ours, b, control, unix.MSG_CMSG_CLOEXEC)
	if errors.Is(err, unix.EINTR) {
		return true
	}
	if err != nil || n < 8 {
		return false
	}
	id := binary.NativeEndian.Uint64(b)
	if n == 8 {
		if w, ok := h.left[id]; ok {
			unix.Close(w.fd)
			delete(h.left, id)
		}
		return true
	}
	messages, err := unix.ParseSocketControlMessage(control[:c])
	if err != nil || len(messages) != 1 {
		return true // we have no descriptor free for it
	}
	if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
		h.left[id] = will{fds[0], parse(b[8:n])}
	}
	return true
}

func parse(b []byte) (all []Option) {
	word := func() int {
		v := binary.NativeEndian.Uint32(b)
		b = b[4:]
		return int(int32(v))
	}
	for len(b) >= 12 {
		o := Option{Level: word(), Name: word()}
		n := min(max(word(), 0), len(b))
		o.Value, b = b[:n], b[n:]
		all = append(all, o)
	}
	return all
}

// Settle sets what is left to be set, when the testator is dead, and says of how many
// sockets.
func (h *Heir) Settle() int {
	<-h.done
	for _, w := range h.left {
		for _, o := range w.options {
			_ = o.Set(w.fd) // some need not be, and can't: a socket that is in no repair mode
		}
		unix.Close(w.fd)
	}
	return len(h.left)
}
