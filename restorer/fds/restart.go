// Package fds makes the open files of a container again and puts them into the
// descriptor tables of its processes.
//
// An open file description that several tables share is made once, as a
// descriptor of ours (Make), is then put into every table that has it (Plant),
// is connected with others (Wire), and is switched to what others notice (Arm).
// What a kind needs for each of these steps stands in kinds.go; each kind has a
// file of its own.
package fds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// Restart makes the open files of one image again. It is not safe for use by
// several goroutines at once.
//
// It holds a descriptor of every open file until Close: as long as it does, no
// pipe reports the end of its writers. So Close comes before the container runs.
type Restart struct {
	// AsCopy: sockets may be bound to addresses that the container does not have.
	AsCopy bool
	// CloseTCP has TCP connections end, as by a reset from their peers.
	CloseTCP bool
	// Outside are, after Make, the masters of terminals that nobody in the
	// container has. Whoever has the Restart closes them, when it runs: then they
	// hang up.
	Outside []*os.File

	// External says what is to be at what was outside, by its name: a path of the
	// host, or "fd:N", a descriptor of ours.
	External map[string]string

	// Memory is where the inodes without a path are. It is to be set before Make.
	Memory Memory
	// EnterCgroup moves the container's first process into a v2 cgroup below the
	// container's own; "/" is that itself. Nil: it stays where it is.
	EnterCgroup func(path string) error
	// Namespace finds a namespace of the container. nil: there is none.
	Namespace func(id uint32) (fd int, err error)
	// InIPC runs f in an IPC namespace of the container (MessageQueue.namespace). nil:
	// there is only the first process's.
	InIPC func(namespace uint32, f func() error) error
	Finder

	// Users are those of the user namespace that a process is in, by its number on
	// the host. nil: all are in the host's.
	Users func(pid int) *format.Users

	// Task finds a thread by its number, Space a process by its address space:
	// rings of io_uring belong to threads. Nil: the first process is all there is.
	Task  func(tid uint32) place.Process
	Space func(mm uint32) place.Process
	// Number is what a task or group of the container is called by a process, by
	// its number on the host. nil: all call it the same.
	Number func(pid int, number uint32) (uint32, error)

	skeleton *format.Skeleton
	root     place.Process

	highest uint32  // descriptor of the image
	files   []*file // in the image's order
	byID    map[uint32]*file
	pipes   map[uint32]*pipe
	async   []asynchronous // what Arm has to switch on
	// Controlling terminals, by path. They stay open: with its last descriptor
	// a pseudo terminal stops being the one of its session (tty_release,
	// drivers/tty/tty_io.c), and the descriptors of the image come later.
	held        map[string]int
	bpf         map[uint32]*bpfObject // maps and programs, by the image's number
	attached    []bpfAttached
	queued      map[uint32]int          // open files of message queues that makeQueues has opened, by id
	packetRings map[uint32]*packetRings // by their contents
}

// usersOf are those of the user namespace that a process is in.
func (r *Restart) usersOf(p place.Process) *format.Users {
	if r.Users == nil {
		return nil
	}
	return r.Users(p.PID())
}

// file is an open file description that is being made again.
type file struct {
	*format.OpenFile
	kind  *kind
	fd    int  // ours; -1 until it is made
	owned bool // owner and signal are set
	wired bool // what has to be done once is done

	populated bool // an epoll that has targets which can be ready

	local, remote *format.InetAddress // that a TCP connection is built with

	ring *madeRing // of an io_uring

	spot    *spot // of a UNIX socket's file
	partner int   // of a UNIX socket: stands for the peer that is closed; 0: none
}

// New prepares to make the open files of s. root is the container's first
// process: it is in all of the container's namespaces, and its root directory
// is that of the container's mount namespace.
//
// It raises RLIMIT_NOFILE of this process, since every open file is a
// descriptor here for a while.
func New(s *format.Skeleton, root place.Process, log *slog.Logger) (*Restart, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := raiseLimit(uint64(len(s.OpenFiles) + 2*len(s.Pipes) + spareDescriptors)); err != nil {
		return nil, err
	}
	path := fmt.Sprintf("/proc/%d/root", root.PID())
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the container's root directory %s: %w", path, err)
	}
	r := &Restart{skeleton: s, root: root, Finder: NewFinder(dir, log),
		byID: make(map[uint32]*file, len(s.OpenFiles)), pipes: make(map[uint32]*pipe, len(s.Pipes)), held: map[string]int{}, bpf: map[uint32]*bpfObject{}, queued: map[uint32]int{}, packetRings: map[uint32]*packetRings{}}
	table := kinds()
	for _, o := range s.OpenFiles {
		k, err := kindOf(table, o)
		if err != nil {
			r.Close()
			return nil, err
		}
		f := &file{OpenFile: o, kind: k, fd: -1}
		r.files = append(r.files, f)
		r.byID[o.Id] = f
	}
	for _, t := range s.Files {
		for _, d := range t.Descriptors {
			r.highest = max(r.highest, d.Number)
		}
	}
	for _, p := range s.Pipes {
		r.pipes[p.Id] = &pipe{Pipe: p, read: -1, write: -1, keep: -1}
	}
	return r, nil
}

// spareDescriptors is how many descriptors this process may need for anything
// else than the container's open files.
const spareDescriptors = 1024

// raiseLimit makes sure that this process may have n descriptors.
func raiseLimit(n uint64) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("read RLIMIT_NOFILE: %w", err)
	}
	if l.Cur >= n {
		return nil
	}
	hard := l.Max
	l.Cur, l.Max = n, max(n, hard)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("the restart needs %d descriptors and its limit RLIMIT_NOFILE is %d: raise it (ulimit -n %d; above sysctl fs.nr_open raise that first) or give it CAP_SYS_RESOURCE: %w", n, hard, n, err)
	}
	return nil
}

// Make makes every open file of the image once, as a descriptor of ours.
func (r *Restart) Make(ctx context.Context) error {
	if err := r.makeSockets(ctx); err != nil {
		return err
	}
	if err := r.makeQueues(); err != nil {
		return err
	}
	for _, f := range r.files {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("make the open files: %w", err)
		}
		fd, err := f.kind.make(ctx, r, f)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name(f), err)
		}
		f.fd = fd
	}
	// From here on a pipe has exactly the ends that the image has.
	for _, p := range r.pipes {
		p.close()
	}
	return nil
}

// CloseFiles closes the descriptors that the restart holds of the container's
// open files, but for those that have yet to be armed. From here on a pipe whose
// other end is gone says so.
func (r *Restart) CloseFiles() {
	for _, f := range r.files {
		if f.kind.arm == nil {
			closeFD(&f.fd)
		}
	}
	for _, p := range r.pipes {
		p.close()
	}
}

// Close closes every descriptor that the restart holds. It is safe to call it
// more than once.
func (r *Restart) Close() error {
	for _, f := range r.files {
		closeFD(&f.fd)
		f.ring.forget()
		_ = f.spot.remove()
		f.spot = nil
	}
	for _, p := range r.pipes {
		p.close()
	}
	for _, fd := range r.held {
		unix.Close(fd)
	}
	r.held = nil
	for _, fd := range r.queued {
		unix.Close(fd)
	}
	r.queued = nil
	for _, p := range r.packetRings {
		p.close()
	}
	r.closeBPF()
	closeFD(&r.rootDir)
	return nil
}

// closeFD closes a descriptor, if it is one, and forgets it.
func closeFD(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}

// name says which open file it is, as an operator would: by a descriptor and a
// process that has it.
func (r *Restart) name(f *file) string {
	for _, t := range r.skeleton.Files {
		for _, d := range t.Descriptors {
			if d.OpenFile != f.Id {
				continue
			}
			for _, p := range r.skeleton.Processes {
				for _, task := range p.Tasks {
					if task.Files == t.Id {
						return fmt.Sprintf("descriptor %d of process %d (%s), %s", d.Number, p.Pid, task.Name, f.kind.name)
					}
				}
			}
			return fmt.Sprintf("descriptor %d, %s", d.Number, f.kind.name)
		}
	}
	return "open file " + strconv.Itoa(int(f.Id)) + ", " + f.kind.name
}

// setFlags gives a descriptor those flags of the open file that can be changed
// while it is open (fcntl(2), F_SETFL), but for O_ASYNC: that is Arm's.
func setFlags(fd int, flags uint32) error {
	const can = unix.O_APPEND | unix.O_NONBLOCK | unix.O_DIRECT | unix.O_NOATIME
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, int(flags)&can); err != nil {
		return fmt.Errorf("set its flags %#o: %w", flags, err)
	}
	return nil
}

// withFlags is a descriptor that was just made, with the flags of its open file,
// or closed.
func withFlags(fd int, flags uint32) (int, error) {
	if err := setFlags(fd, flags); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// retry calls fn again as long as a signal interrupts it.
func retry(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
