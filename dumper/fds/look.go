// Package fds looks at descriptor tables and at what lies behind the
// descriptors: a row per kind in kinds.go, a file per kind beside it. It only
// reads; no queue is consumed, no open file changed (but for eventfds on kernels
// before 6.5, see tryEventfd).
package fds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/programs"
	"lxc-checkpoint/dumper/queues"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// Env is what Look has to know of the container, all of whose tasks are stopped.
type Env struct {
	First int // host's pid of the container's first process
	IDs   *view.IDs
	// Namespaces are those that tasks of the container are in, by their inode.
	Namespaces map[uint64]uint32
	// Networks are the network namespaces among them, each with a task (host's) that
	// is in it.
	Networks map[uint64]int
	// Nested are the roots of mount namespaces that programs have made.
	Nested []view.NestedRoot
	// Tasks are the container's tasks, zombies included: the number in its pid
	// namespace by the host's.
	Tasks map[int]uint32
	// Objects are the inodes without a path. Nil: a look of its own finds them.
	Objects *view.Objects
	// Queues looks at POSIX message queues. Nil: one of its own does.
	Queues *queues.Looker
	// Programs looks at BPF maps and programs. Nil: one of its own does.
	Programs *programs.Looker
	Log      *slog.Logger // nil: none
	// Connections gets the TCP connections that were silenced; whoever looks
	// releases them.
	Connections *Connections
	RefuseTCP   bool // refuse every TCP connection
	ShellJob    bool // take terminals whose masters are outside
	// External are names of pipes and UNIX sockets ("pipe:[INODE]") whose other
	// end may be outside of the container: a restart will be told what they are.
	External []string
	// Ask makes a call of getsockopt(2) in a task of the container, which sees
	// numbers as the container does. Nil: nobody can be asked.
	Ask func(task, fd, level, name, size int) ([]byte, error)
	// Kernel reads the kernel's memory, where Facts tell the addresses of tasks.
	// Nil: nobody can.
	Kernel func() (view.Kernel, error)
	Facts  map[int]*view.TaskFacts // by the host's number
	// Enter makes a call of io_uring_enter(2) in a task that submits nothing and
	// waits for nothing.
	Enter func(task, fd int) error
}

// Table is a descriptor table to look at.
type Table struct {
	ID      uint32 // of the format.Files
	PID     int    // host's number of a task that has it
	NSPID   int    // that task's number in the container, for messages
	Command string
}

// Result is what was found.
type Result struct {
	Files     []*format.Files
	OpenFiles []*format.OpenFile
	Pipes     []*format.Pipe
	// Rings are the rings of io_uring, by the page frames that a mapping of one
	// begins with.
	Rings map[uint64]uint32
	// PacketRings are those of packet sockets, by their inodes.
	PacketRings map[uint64]*PacketRings
	terminals   terminals
}

// TerminalPath names the terminal of the container that has a device number
// and is the controlling one of processes that have these descriptor tables:
// of several with that number, it is the one that they have open.
func (r *Result) TerminalPath(major, minor uint32, tables map[uint32]bool) (string, bool) {
	return r.terminals.numbered(unix.Mkdev(major, minor), func(name string) bool {
		names := map[uint32]bool{} // open files that are this terminal
		for _, o := range r.OpenFiles {
			names[o.Id] = o.GetTerminal().GetPath() == name
		}
		for _, t := range r.Files {
			for _, d := range t.Descriptors {
				if tables[t.Id] && names[d.OpenFile] {
					return true
				}
			}
		}
		return false
	})
}

// IsHostTerminal tells whether a terminal is the one that the container was
// started from, and is saved as such (Env.ShellJob).
func (r *Result) IsHostTerminal(major, minor uint32) bool {
	return r.terminals.host[unix.Mkdev(major, minor)]
}

// Look looks at all tables. The list has everything that can't be taken.
func Look(ctx context.Context, env Env, tables []Table) (res *Result, refused refusal.List, err error) {
	if env.Connections == nil {
		env.Connections = &Connections{}
		defer func() { err = errors.Join(err, env.Connections.Release()) }()
	}
	w, err := newWalk(env)
	if err != nil {
		return nil, nil, err
	}
	defer w.close()
	defer func() {
		for _, r := range w.packetRings {
			if err != nil {
				r.Close()
			}
		}
	}()
	res = &Result{terminals: w.terminals}
	for _, t := range tables {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		files, err := w.table(t)
		if err != nil {
			return nil, nil, fmt.Errorf("descriptors of process %d (%s): %w", t.NSPID, t.Command, err)
		}
		res.Files = append(res.Files, files)
	}
	w.nameSlaves()
	if err := w.settleRings(); err != nil {
		return nil, nil, err
	}
	w.nameOutside()
	// When all tables are known: an epoll's targets may be in any of them.
	for i := 0; i < len(w.files); i++ { // to look at a socket's queue can bring more
		f := w.files[i]
		err := w.look(f)
		var r *refusal.Refusal
		switch {
		case errors.As(err, &r):
			refused = append(refused, r)
		case err != nil:
			return nil, nil, f.wrap(err)
		}
		if !f.flying {
			f.closeCopy()
		}
		res.OpenFiles = append(res.OpenFiles, f.OpenFile)
	}
	refused = append(refused, w.connectUnix()...)
	more, err := w.connectTCP()
	if err != nil {
		return nil, nil, err
	}
	refused = append(refused, more...)
	refused = append(refused, w.lookWaiting()...)
	outside, err := w.outsideMasters()
	if err != nil {
		return nil, nil, err
	}
	res.OpenFiles = append(res.OpenFiles, outside...)
	pipes, more, err := w.lookAtPipes()
	if err != nil {
		return nil, nil, err
	}
	refused = append(refused, more...)
	// Last: until here a thread may have been asked something, and its requests
	// gone on by that.
	if more, err = w.lookAtRings(); err != nil {
		return nil, nil, err
	}
	res.Pipes, res.Rings, res.PacketRings = pipes, w.rings, w.packetRings
	refused = append(refused, more...)
	return res, append(refused, w.checkExternal()...), nil
}

// walk is a look under way.
type walk struct {
	Env
	root       int // the container's root directory
	mounts     map[int]bool
	mountLists map[string][]*procfs.Mount // by namespace, see mountsOf
	terminals  terminals
	files      []*file
	outside    []*file // a slave of each pseudo terminal whose master is outside
	groups     map[groupKey][]*file
	byNumber   map[place]*file
	pipes      map[inode]*pipe
	order      []*pipe
	networks   map[uint64]*network // by inode
	own        *network            // the container's
	net        *network            // of the socket that is looked at

	unixes      []*unixSocket
	unixByInode map[uint32]*unixSocket
	rings       map[uint64]uint32 // see Result
	ringFiles   []*ringFile
	packetRings map[uint64]*PacketRings // see Result
	addresses   *addresses              // nil until needed
	external    map[string]bool         // of Env.External, those that were found
	listeners   []*listener             // see lookWaiting
	inBacklogs  int                     // bytes that wait with UNIX connections to be accepted

	acknowledgement uint32 // see sizeOfAcknowledgement
}

// place is a descriptor in a table.
type place struct {
	table  uint32
	number uint32
}

type inode struct{ dev, ino uint64 }

func newWalk(env Env) (*walk, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Objects == nil {
		env.Objects = &view.Objects{IDs: env.IDs}
	}
	if env.Queues == nil {
		env.Queues = &queues.Looker{IDs: env.IDs}
	}
	if env.Programs == nil {
		env.Programs = programs.New(env.IDs)
	}
	w := &walk{
		Env: env, mounts: map[int]bool{}, mountLists: map[string][]*procfs.Mount{}, groups: map[groupKey][]*file{}, byNumber: map[place]*file{},
		pipes: map[inode]*pipe{}, networks: map[uint64]*network{}, unixByInode: map[uint32]*unixSocket{},
		rings: map[uint64]uint32{}, packetRings: map[uint64]*PacketRings{}, external: map[string]bool{},
	}
	var err error
	if w.root, err = unix.Open(fmt.Sprintf("/proc/%d/root", env.First), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open the container's root directory: %w", err)
	}
	if w.own, err = w.network(env.First, 0); err != nil {
		w.close()
		return nil, err
	}
	w.net = w.own
	mounts, err := w.mountsOf(env.First)
	if err != nil {
		w.close()
		return nil, err
	}
	for _, m := range mounts {
		w.mounts[m.ID] = true
	}
	w.terminals = w.findTerminals()
	return w, nil
}

func (w *walk) close() {
	unix.Close(w.root)
	for _, n := range w.networks {
		n.close()
	}
	for _, f := range w.files {
		f.closeCopy()
	}
}

// table reads one descriptor table.
func (w *walk) table(t Table) (*format.Files, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", t.PID))
	if err != nil {
		return nil, err
	}
	numbers := make([]int, 0, len(entries))
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	files := &format.Files{Id: t.ID}
	here := map[*file]bool{}
	for _, n := range numbers {
		f, info, err := w.descriptor(t, n)
		if err == nil {
			err = w.locks(files, f, n, info, f.info == info, !here[f])
		}
		if err != nil {
			return nil, fmt.Errorf("descriptor %d: %w", n, err)
		}
		here[f] = true
		w.byNumber[place{t.ID, uint32(n)}] = f
		closeOnExec := info.Flags&unix.O_CLOEXEC != 0
		files.Descriptors = append(files.Descriptors, &format.Descriptor{Number: uint32(n), OpenFile: f.Id, CloseOnExec: closeOnExec})
	}
	return files, nil
}

// descriptor finds the open file behind a descriptor: one that is known, or a
// new one. info is what /proc tells of this descriptor.
func (w *walk) descriptor(t Table, n int) (f *file, info *procfs.FDInfo, err error) {
	if f, err = w.see(t, n); err != nil {
		return nil, nil, err
	}
	info = f.info
	known, err := w.identify(f)
	if err != nil {
		return nil, nil, err
	}
	if known != nil {
		known.holders = append(known.holders, holder{t, n})
		return known, info, nil
	}
	f.holders = []holder{{t, n}}
	w.add(f)
	return f, info, nil
}

// see reads what /proc tells of a descriptor.
func (w *walk) see(t Table, n int) (f *file, err error) {
	path := fmt.Sprintf("/proc/%d/fd/%d", t.PID, n)
	f = &file{Table: t, number: n}
	if f.link, err = os.Readlink(path); err != nil {
		return nil, err
	}
	if err := unix.Stat(path, &f.stat); err != nil {
		return nil, err
	}
	if f.info, err = procfs.ReadFDInfo(t.PID, n); err != nil {
		return nil, err
	}
	f.object, err = w.Objects.Of(t.PID, path, f.link, &f.stat)
	return f, err
}

// add notes a file that was not known.
func (w *walk) add(f *file) {
	f.OpenFile = &format.OpenFile{
		Id:       w.IDs.Next(),
		Flags:    uint32(f.info.Flags) &^ unix.O_CLOEXEC,
		Position: f.info.Position,
	}
	w.files = append(w.files, f)
}

// look fills the message of one open file.
func (w *walk) look(f *file) error {
	k := kindOf(f)
	if k == nil {
		return f.refuse(describeUnknown(f), "this version can't checkpoint it", "close it, or end the process, before the checkpoint")
	}
	if err := f.checkLocks(); err != nil {
		return err
	}
	if err := k.look(w, f); err != nil {
		return err
	}
	if f.Flags&unix.O_PATH != 0 {
		return nil
	}
	return w.owner(f)
}
