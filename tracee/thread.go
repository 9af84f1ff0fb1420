// Package tracee is a thread that we trace: how to stop it, wait for it, read
// and write its registers, and have it make system calls for us. It knows
// nothing of checkpoints.
//
// The kernel binds a tracee to the one thread that attached it: every call on
// a Thread MUST come from the OS thread that called Seize (runtime.LockOSThread);
// from another one it fails with ESRCH (ptrace(2)).
package tracee

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// Options of Seize. PTRACE_O_TRACESYSGOOD is always set.
type Options struct {
	// SuspendSeccomp lets system calls that we inject pass the thread's
	// seccomp filters (PTRACE_O_SUSPEND_SECCOMP; needs CAP_SYS_ADMIN). The
	// filters are in force again once the thread is detached.
	SuspendSeccomp bool
	// ExitKill has the kernel kill the thread when we die. Never for a process
	// that is not our own.
	ExitKill bool
	// TraceClone attaches the children and threads that the thread makes.
	TraceClone bool
}

func (o Options) bits() uint {
	b := uint(unix.PTRACE_O_TRACESYSGOOD)
	if o.SuspendSeccomp {
		b |= unix.PTRACE_O_SUSPEND_SECCOMP
	}
	if o.ExitKill {
		b |= unix.PTRACE_O_EXITKILL
	}
	if o.TraceClone {
		b |= unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
	}
	return b
}

// Thread is a thread that is traced.
type Thread struct {
	tid   int
	last  Stop
	space *Space
	// reason is the error number by which the kernel has remembered, since the
	// last stop, why a system call was interrupted; 0: none, or not known. Only
	// arm64 has it.
	reason int
}

// Seize attaches the thread tid without stopping it (PTRACE_SEIZE). EPERM
// means that another tracer has it, or that it is not ours to trace.
func Seize(tid int, o Options) (*Thread, error) {
	if err := sys.PtraceSeize(tid, o.bits()); err != nil {
		return nil, fmt.Errorf("attach to task %d: %w", tid, err)
	}
	return Attached(tid), nil
}

// Attached returns the Thread of a child or thread that the kernel attached by
// itself (Options.TraceClone); Wait for its first stop before anything else.
func Attached(tid int) *Thread { return &Thread{tid: tid, space: new(Space)} }

// TID is the thread's number in our own pid namespace.
func (t *Thread) TID() int { return t.tid }

// Last is the last stop that Wait returned.
func (t *Thread) Last() Stop { return t.last }

// Interrupt asks for a stop (PTRACE_INTERRUPT); Wait returns it as an
// EventStop.
func (t *Thread) Interrupt() error {
	return t.wrap("interrupt", sys.PtraceInterrupt(t.tid))
}

// Continue lets the stopped thread go on, with a signal if sig is not 0 and
// the stop was a SignalStop (PTRACE_CONT).
func (t *Thread) Continue(sig unix.Signal) error {
	return t.wrap("continue", sys.PtraceCont(t.tid, sig))
}

// SyscallContinue lets the stopped thread go on until the next entry to or
// exit from a system call (PTRACE_SYSCALL).
func (t *Thread) SyscallContinue() error { return t.syscallContinue(0) }

func (t *Thread) syscallContinue(sig unix.Signal) error {
	return t.wrap("continue", sys.PtraceSyscall(t.tid, sig))
}

// Detach lets go of the stopped thread (PTRACE_DETACH): it goes on, and a
// system call that the stop interrupted is restarted by the kernel if the
// registers are still those of the EventStop. The signal is delivered if the
// stop was a SignalStop. Not an error: the thread is gone, or about to go.
func (t *Thread) Detach(sig unix.Signal) error {
	err := sys.PtraceDetach(t.tid, sig)
	// Out of its stop without us comes a thread only to die: by SIGKILL, or
	// because another thread of its process, let go before, has called exit.
	if errors.Is(err, unix.ESRCH) && stateOf(t.tid) != 't' {
		return nil
	}
	return t.wrap("detach from", err)
}

// SetOptions replaces the options that Seize gave (PTRACE_SETOPTIONS).
func (t *Thread) SetOptions(o Options) error {
	return t.wrap("set the trace options of", sys.PtraceSetOptions(t.tid, o.bits()))
}

func (t *Thread) wrap(act string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s task %d: %w", act, t.tid, err)
}

// stateOf is a task's state as /proc/TID/stat has it, 't' for a tracing stop; 0
// if there is no such task.
func stateOf(tid int) byte {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if i := bytes.LastIndex(b, []byte(") ")); i >= 0 && i+2 < len(b) {
		return b[i+2]
	}
	return 0
}
