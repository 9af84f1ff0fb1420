// Package tasks looks at what makes a task of a stopped container besides its
// memory and descriptors: registers, signals, credentials, scheduling, timers.
// Most of it is told by /proc and by calls from outside; what only the task
// itself can be asked for, it is made to ask (tracee.Remote).
package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"lxc-checkpoint/dumper/ptrace"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/tracee"
)

// Looker looks at the processes of one container. Its methods MUST be called
// on the thread that traces them (ptrace.Held.Do).
type Looker struct {
	ids                      *view.IDs
	mms, files, fs, sighands *view.Classes
	root                     *ptrace.Process
	rootFilters              int
	level                    int            // of the container's pid namespace, from ours
	groups                   map[int]uint32 // process groups by the host's number
	undos                    map[uint64]int // lists of semaphores to undo: host's number of the process
	filters                  filters
	noLabels                 bool              // of a security module
	seesAll                  bool              // Facts has a view.Seen of every task
	sessions                 map[uint64]uint32 // session keyrings by their addresses
	o                        Options
}

// Options of a Looker.
type Options struct {
	// Facts of tasks by their number on the host. A task that is not among
	// them is made to tell its own.
	Facts map[int]*view.TaskFacts
	// At is when the tasks were stopped: what remains of a time is counted from
	// there.
	At clocks.Times
	// Limits are those to the time of calls, by their tasks' numbers on the host, of
	// which the kernel has forgotten what remained.
	Limits map[int]ptrace.Limit
	// Ask, if it is not nil, is called once for every address space that
	// Facts has no task of, with a process that has it and can be made to make
	// calls.
	Ask func(Object, *tracee.Remote) error
	// AskSettings is called as Ask is, for those address spaces that Facts has
	// MemorySettings of.
	AskSettings func(Object, *tracee.Remote) error
	// SeccompProfile says that LXC has loaded a seccomp filter from its config,
	// before the container's first process ran.
	SeccompProfile bool
	// ShellJob takes processes whose parent is outside: the root is their parent
	// then, which can have any child.
	ShellJob bool
}

// ObjectKind is a kind of object that tasks share.
type ObjectKind int

// The kinds of Object.
const (
	Mm    ObjectKind = iota // address space
	Files                   // descriptor table
	Fs                      // root, current directory, umask
)

// Object is something that tasks share and that another room has to look at.
type Object struct {
	Kind    ObjectKind
	ID      uint32
	PID     int    // host's number of a task that has it (a thread's, if its process has another)
	NSPID   int    // that of its process in the container
	Command string // of its process
}

// Process is what Look found.
type Process struct {
	*format.Process
	// Sighand is the table that Process.Sighand names; nil if it was returned
	// with an earlier process.
	Sighand *format.Sighand
	// Objects are those that no process before had.
	Objects []Object
	// Terminal: device number of the controlling terminal, 0 for none, and
	// whether the process leads the session that has it. Then
	// format.Process.Terminal is set, without its path.
	TerminalMajor, TerminalMinor uint32
	// SeccompFilters are those that no process before had.
	SeccompFilters []*format.SeccompFilter
	// SessionKeyrings are those that no process before had.
	SessionKeyrings []*format.SessionKeyring
}

// New prepares a look at the processes that are held, the root first.
func New(ids *view.IDs, processes []*ptrace.Process, o Options) (*Looker, error) {
	if len(processes) == 0 || processes[0].Zombie {
		return nil, errors.New("the container's first process has ended")
	}
	l := &Looker{
		ids: ids, root: processes[0], o: o,
		mms:      view.NewClasses(sys.KcmpVM, ids),
		files:    view.NewClasses(sys.KcmpFiles, ids),
		fs:       view.NewClasses(sys.KcmpFS, ids),
		sighands: view.NewClasses(sys.KcmpSighand, ids),
		groups:   map[int]uint32{},
		undos:    map[uint64]int{},
		filters:  filters{ids: map[filterKey]uint32{}},
		sessions: map[uint64]uint32{},
	}
	status, err := procfs.ReadStatus(l.root.PID)
	if err != nil {
		return nil, fmt.Errorf("status of the container's first process: %w", err)
	}
	l.rootFilters = status.SeccompFilters
	l.level = len(status.NSpid) - 1
	l.seesAll = len(o.Facts) > 0
	for _, p := range processes {
		if err := l.noteGroup(p); err != nil {
			return nil, err
		}
		for _, t := range p.Threads {
			l.seesAll = l.seesAll && o.Facts[t.TID()] != nil && o.Facts[t.TID()].Seen != nil
		}
	}
	return l, nil
}

// seen is what eBPF has seen of a task; nil if it has not of every one.
func (l *Looker) seen(tid int) *view.Seen {
	if !l.seesAll {
		return nil
	}
	return l.o.Facts[tid].Seen
}

// noteGroup remembers what a process's group is called in the container.
func (l *Looker) noteGroup(p *ptrace.Process) error {
	stat, err := procfs.ReadStat(p.PID)
	if err != nil {
		return fmt.Errorf("process %d (%s): %w", p.PID, p.Command, err)
	}
	status, err := procfs.ReadStatus(p.PID)
	if err != nil {
		return fmt.Errorf("process %d (%s): %w", p.PID, p.Command, err)
	}
	l.groups[stat.Group] = uint32(l.inside(status.NSpgid))
	return nil
}

// SeccompFilters is how many filters the container's first process has.
func (l *Looker) SeccompFilters() int { return max(l.rootFilters, 0) }

// Look looks at one process, zombies included. What can't be taken is in the
// list; an error is a failure to look.
func (l *Looker) Look(ctx context.Context, p *ptrace.Process) (*Process, refusal.List, error) {
	found, refused, err := l.look(ctx, p)
	if err != nil {
		return nil, nil, fmt.Errorf("process %d (%s): %w", p.PID, p.Command, err)
	}
	return found, refused, nil
}

func (l *Looker) look(ctx context.Context, p *ptrace.Process) (*Process, refusal.List, error) {
	k, err := l.begin(p)
	if err != nil {
		return nil, nil, err
	}
	if p.Zombie {
		k.zombie()
		return k.found, k.refused, nil
	}
	if err := k.shape(); err != nil {
		return nil, nil, err
	}
	if p.LeaderEnded {
		leader, err := k.endedLeader()
		if err != nil {
			return nil, nil, err
		}
		k.found.Tasks = append(k.found.Tasks, leader)
	}
	for i, t := range p.Threads {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		task, err := k.task(ctx, t, i == 0)
		if err != nil {
			return nil, nil, fmt.Errorf("task %d: %w", t.TID(), err)
		}
		k.found.Tasks = append(k.found.Tasks, task)
	}
	k.firedTimers()
	return k.found, k.refused, nil
}

// looking is a look at one process under way.
type looking struct {
	*Looker
	p           *ptrace.Process
	stat        *procfs.TaskStat
	status      *procfs.TaskStatus
	found       *Process
	refused     refusal.List
	firedBefore map[uint32]bool // timers whose signal was pending before they were asked
	// Objects of the leader.
	filesID, fsID uint32
	freshMm       bool
	freshSighand  bool
	vdso          *procfs.VMA // nil: not looked for yet
}

// begin reads what a zombie has too.
func (l *Looker) begin(p *ptrace.Process) (*looking, error) {
	k := &looking{Looker: l, p: p}
	var err error
	if k.stat, err = procfs.ReadStat(p.PID); err != nil {
		return nil, err
	}
	if k.status, err = procfs.ReadStatus(p.PID); err != nil {
		return nil, err
	}
	f := &format.Process{
		Pid:        uint32(l.inside(k.status.NSpid)),
		Group:      uint32(l.inside(k.status.NSpgid)),
		Session:    uint32(l.inside(k.status.NSsid)),
		HostPid:    uint32(p.PID),
		ExitSignal: uint32(max(k.stat.ExitSignal, 0)),
		State:      format.ProcessState_RUNNING,
	}
	f.InnerGroup, f.InnerSession = l.below(k.status.NSpgid), l.below(k.status.NSsid)
	k.found = &Process{Process: f}
	if p.Parent != nil {
		parent, err := procfs.ReadStatus(p.Parent.PID)
		if err != nil {
			return nil, err
		}
		f.Parent = uint32(l.inside(parent.NSpid))
	} else if l.o.ShellJob && p != l.root {
		root, err := procfs.ReadStatus(l.root.PID)
		if err != nil {
			return nil, err
		}
		f.Parent = uint32(l.inside(root.NSpid))
	}
	if f.CommandLine = commandLine(p.Alive()); f.CommandLine == "" {
		f.CommandLine = p.Command
	}
	return k, nil
}

// zombie fills in what is left of a process that nobody has waited for.
func (k *looking) zombie() {
	k.found.State = format.ProcessState_ZOMBIE
	k.found.WaitStatus = uint32(k.stat.ExitCode)
	k.found.Tasks = []*format.Task{{Tid: k.found.Pid, Name: k.stat.Comm, InnerTids: k.below(k.status.NSpid)}}
}

// refuse notes an obstacle.
func (k *looking) refuse(object, kind, reason, remedy string) {
	k.refused = append(k.refused, &refusal.Refusal{
		PID: int(k.found.Pid), Command: k.p.Command, Object: object, Kind: kind, Reason: reason, Remedy: remedy,
	})
}

// inside is the one of a task's numbers that it has in the container's pid
// namespace. One in a nested namespace has more of them.
func (l *Looker) inside(numbers []int) int {
	if len(numbers) <= l.level {
		return 0
	}
	return numbers[l.level]
}

// below are its numbers in pid namespaces that programs have made.
func (l *Looker) below(numbers []int) []uint32 {
	var all []uint32
	for i := l.level + 1; i < len(numbers); i++ {
		all = append(all, uint32(numbers[i]))
	}
	return all
}

// commandLine is a process's arguments joined by blanks, at most 256 bytes.
func commandLine(pid int) string {
	b, _ := procfs.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	s := strings.TrimSpace(strings.ReplaceAll(string(b[:min(len(b), 256)]), "\x00", " "))
	return strings.ToValidUTF8(s, "?")
}
