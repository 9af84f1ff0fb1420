package fds

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// kind is how an open file of one kind comes back.
type kind struct {
	name string // for messages

	// socket says which socket it is, for those that are one: the container's
	// first process creates it, and make finds it in file.fd. Family 0: it comes
	// into being otherwise.
	socket func(r *Restart, f *file) (family, typ, protocol int, err error)

	// make makes the open file, as a descriptor of ours, close-on-exec.
	make func(ctx context.Context, r *Restart, f *file) (fd int, err error)

	// wire does what needs the tables: it is called for every table, with a
	// process that has it, when all tables are planted. Nil if there is nothing.
	wire func(r *Restart, p place.Process, t *table, f *file) error

	// arm starts what tells the program something by itself, with our own
	// descriptor of it, when all else is done. Nil if there is nothing.
	arm func(r *Restart, f *file) error
}

// kinds has a row for each field of the image's OpenFile.kind, by its name.
//
// No kind here has to be made after another one: the two ends of a pipe find
// each other by its number, and an epoll's targets are added when all are there.
//
// It is a function, not a variable: so a command that only plans a restart links
// none of what the rows name.
func kinds() map[protoreflect.Name]*kind {
	return map[protoreflect.Name]*kind{
		"regular":        {name: "a regular file", make: makeRegular},
		"memory":         {name: "a file without a path", make: makeMemory},
		"directory":      {name: "a directory", make: makeDirectory},
		"device":         {name: "a device", make: makeDevice},
		"terminal":       {name: "a terminal", make: makeTerminal},
		"pipe":           {name: "an end of a pipe", make: makePipeEnd},
		"fifo":           {name: "an end of a FIFO", make: makeFIFOEnd},
		"eventfd":        {name: "an eventfd", make: makeEventfd},
		"epoll":          {name: "an epoll", make: makeEpoll, wire: wireEpoll},
		"namespace":      {name: "a namespace", make: makeNamespace},
		"timerfd":        {name: "a timerfd", make: makeTimerfd, arm: armTimerfd},
		"signalfd":       {name: "a signalfd", make: makeSignalfd},
		"fanotify":       {name: "a fanotify", make: makeFanotify, arm: armFanotify},
		"inotify":        {name: "an inotify", make: makeInotify, arm: armInotify},
		"bpf_map":        {name: "a BPF map", make: makeBPFMap},
		"bpf_program":    {name: "a BPF program", make: makeBPFProgram},
		"io_uring":       {name: "an io_uring", make: makeUring},
		"message_queue":  {name: "a POSIX message queue", make: makeMessageQueue},
		"external":       {name: "an end of something outside", make: makeExternal},
		"pidfd":          {name: "a pidfd", make: makePidfd},
		"pty_master":     {name: "the master of a pseudo terminal", make: makePtyMaster, arm: armPtyMaster},
		"tcp_listener":   {name: "a listening TCP socket", socket: tcpSocket, make: makeTCPListener},
		"tcp_connection": {name: "a TCP connection", socket: tcpConnectionSocket, make: makeTCPConnection, arm: armTCP},
		"packet_socket":  {name: "a packet socket", socket: packetSocket, make: makePacket, arm: armPacket},
		"netlink_socket": {name: "a netlink socket", socket: netlinkSocket, make: makeNetlink},
		"inet_socket":    {name: "an IP socket", socket: inetSocket, make: makeInet},
		"unix_socket":    {name: "a UNIX socket", socket: unixSocket, make: makeUnix},
	}
}

// kindOf finds the row of an open file.
func kindOf(kinds map[protoreflect.Name]*kind, o *format.OpenFile) (*kind, error) {
	m := o.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		return nil, fmt.Errorf("open file %d of the image has no kind that this version knows: restart it with the version that made the image, or a newer one", o.Id)
	}
	k := kinds[field.Name()]
	if k == nil {
		return nil, fmt.Errorf("open file %d of the image is of kind %s, which this version cannot make: use a newer one", o.Id, field.Name())
	}
	return k, nil
}
