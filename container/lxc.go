package container

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// LXCState is what LXC's monitor thinks of its container (src/lxc/state.h of
// LXC). It is told to the monitor and by it; the kernel's freezer may differ.
type LXCState int

// State is another name of LXCState.
type State = LXCState

const (
	Stopped LXCState = iota
	Starting
	Running
	Stopping
	Aborting
	Freezing
	Frozen
	Thawed
)

func (s LXCState) String() string {
	names := [...]string{"STOPPED", "STARTING", "RUNNING", "STOPPING", "ABORTING", "FREEZING", "FROZEN", "THAWED"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("state %d", int(s))
	}
	return names[s]
}

// The commands that we send (src/lxc/commands.h of LXC; the numbers have not
// changed from 3.0 to 6.0; those above 12 are younger than 3.0).
const (
	cmdGetState          = 3
	cmdGetInitPID        = 4
	cmdGetCloneFlags     = 5
	cmdGetCgroup         = 6
	cmdGetConfigItem     = 7
	cmdServeStateClients = 12
	cmdGetLimitCgroup    = 19
)

// patience bounds a command when its context has no deadline.
const patience = 10 * time.Second

// socketName is the abstract name, led by a NUL byte, on which the monitor of
// a container listens. A name that does not fit is hashed, as LXC does
// (lxc_make_abstract_socket_name): sun_path less two bytes is the limit.
func socketName(name, lxcpath string) string {
	const limit = 108 - 2
	plain := lxcpath + "/" + name + "/command"
	if len(plain) < limit {
		return "\x00" + plain
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, lxcpath+"/"+name)
	return fmt.Sprintf("\x00lxc/%016x/command", h.Sum64())
}

// answer is what a monitor replies to a command.
type answer struct {
	number uint64 // the reply's pointer field, which holds small integers
	data   []byte
}

// word is the data as the string that LXC terminates with a NUL byte.
func (a answer) word() string {
	s, _, _ := strings.Cut(string(a.data), "\x00")
	return s
}

// errNoMonitor says that nobody listens on the command socket.
var errNoMonitor = errors.New("no monitor listens")

// command sends one command to the monitor and returns its answer. A negative
// return value becomes the unix.Errno it stands for.
func command(ctx context.Context, name, lxcpath string, number int32, argument uint64, data string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a, err := exchange(ctx, socketName(name, lxcpath), number, argument, data)
	// A monitor that is just ending resets the connection: soon it does not
	// listen any more.
	for (errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)) && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
		a, err = exchange(ctx, socketName(name, lxcpath), number, argument, data)
	}
	switch {
	case err == nil, errors.Is(err, errNoMonitor):
		return a, err
	case ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
		return a, fmt.Errorf("LXC's monitor of container %s does not answer (command %d): %w", name, number, errors.Join(ctx.Err(), err))
	}
	return a, fmt.Errorf("LXC's monitor of container %s, command %d: %w", name, number, err)
}

func exchange(ctx context.Context, socket string, number int32, argument uint64, data string) (a answer, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if errors.Is(err, unix.ECONNREFUSED) {
		return a, errNoMonitor
	}
	if err != nil {
		return a, err
	}
	defer conn.Close()
	// The end of ctx wakes a read that waits.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	request := make([]byte, 16, 16+len(data))
	binary.NativeEndian.PutUint32(request[0:], uint32(number))
	binary.NativeEndian.PutUint32(request[4:], uint32(len(data)))
	binary.NativeEndian.PutUint64(request[8:], argument)
	credentials := unix.UnixCredentials(&unix.Ucred{
		Pid: int32(os.Getpid()), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid()),
	})
	// LXC reads the data apart from the head, so they go apart.
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(request, credentials, nil); err != nil {
		return a, err
	}
	if data != "" {
		if _, err := io.WriteString(conn, data); err != nil {
			return a, err
		}
	}
	head := make([]byte, 16)
	if _, err := io.ReadFull(conn, head); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it closed the connection without an answer; this LXC does not know the command, or we are not its root")
		}
		return a, err
	}
	result := int32(binary.NativeEndian.Uint32(head[0:]))
	length := int32(binary.NativeEndian.Uint32(head[4:]))
	a.number = binary.NativeEndian.Uint64(head[8:])
	if result < 0 {
		return a, unix.Errno(-result)
	}
	if length < 0 || length > 1<<20 {
		return a, fmt.Errorf("it announces an answer of %d bytes, more than any has", length)
	}
	a.data = make([]byte, length)
	_, err = io.ReadFull(conn, a.data)
	return a, err
}

// Query asks the monitor of the LXC container NAME below lxcpath (empty: the
// host's default) for its state and the host's pid of its first process (0 if
// it has none). A container whose monitor does not run is Stopped; the error
// is a *NotFoundError if there is none of that name.
func Query(ctx context.Context, name, lxcpath string) (State, int, error) {
	lxcpath, err := resolve(name, lxcpath)
	if err != nil {
		return Stopped, 0, err
	}
	state, err := command(ctx, name, lxcpath, cmdGetState, 0, "")
	if errors.Is(err, errNoMonitor) {
		return Stopped, 0, exists(name, lxcpath)
	}
	if err != nil {
		return Stopped, 0, err
	}
	if LXCState(state.number) == Stopped {
		return Stopped, 0, nil
	}
	pid, err := command(ctx, name, lxcpath, cmdGetInitPID, 0, "")
	if errors.Is(err, errNoMonitor) {
		return Stopped, 0, exists(name, lxcpath)
	}
	if err != nil || int32(pid.number) < 0 {
		pid.number = 0 // starting or stopping
	}
	return LXCState(state.number), int(int32(pid.number)), nil
}

// Announce tells LXC's monitor the state that the container is in now, so
// that lxc-info says it, lxc-wait and lxc-monitor notice it, and lxc-unfreeze
// acts: it does nothing while the monitor thinks that the container runs.
// Without LXC it does nothing. What lxc-freeze announces is Freezing before
// and Frozen after; lxc-unfreeze announces Thawed before and Running after.
func (c *Container) Announce(ctx context.Context, s LXCState) error {
	if c.Name == "" {
		return nil
	}
	if _, err := command(ctx, c.Name, c.LXCPath, cmdServeStateClients, uint64(s), ""); err != nil {
		return fmt.Errorf("telling LXC that container %s is %s: %w", c.Name, s, err)
	}
	tellMonitors(c.Name, c.LXCPath, s)
	return nil
}

// tellMonitors writes the new state into the FIFO of lxc-monitord, from which
// lxc-monitor takes it (struct lxc_msg, src/lxc/monitor.h of LXC). Nobody
// reads it as a rule; that is no error.
func tellMonitors(name, lxcpath string, s LXCState) {
	fifo := "/run/lxc/" + lxcpath + "/monitor-fifo"
	fd, err := unix.Open(fifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var message [264]byte // int type (0: a state); char name[256]; int value
	copy(message[4:259], name)
	binary.NativeEndian.PutUint32(message[260:], uint32(s))
	_, _ = unix.Write(fd, message[:])
}
