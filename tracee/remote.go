package tracee

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"lxc-checkpoint/internal/sys"

	"golang.org/x/sys/unix"
)

// Remote makes system calls in a thread that is not ours and is stopped in an
// EventStop. It touches registers and, if Scratch is called, a little memory
// below the stack; between its calls the thread executes nothing but the
// system call instruction.
//
// By itself, Close undoes: registers, the signal mask (every signal is blocked
// meanwhile; SIGSTOP and SIGKILL can't be), the scratch memory, rseq's
// critical section; the thread is in an EventStop again, and a system call
// that had been interrupted is restarted on Detach as if nothing had been.
// What the caller owes: no call that sleeps with a timeout (it would overwrite
// the restart block of the interrupted call: nanosleep, poll, futex with a
// timeout …), none that changes what the thread itself can see, and Close on
// every path.
type Remote struct {
	t   *Thread
	ctx context.Context
	mem *os.File

	original Registers
	mask     uint64
	work     Registers // what is loaded for the next call
	site     uint64
	started  bool // the thread has left the EventStop
	running  bool // it was let go on, and its next stop has not come yet
	atExit   bool // it is at the exit from a call
	reason   int  // see Thread.reason
	dispatch sys.SyscallUserDispatch

	rseq    uint64 // address of rseq_cs, 0: none
	rseqCS  uint64
	scratch area
	saved   []byte // what was in scratch
}

// Remote begins a series of system calls in the thread; ctx bounds every wait
// of it.
func (t *Thread) Remote(ctx context.Context) (*Remote, error) {
	if t.last.Kind != EventStop {
		return nil, fmt.Errorf("task %d: system calls can be made for it in an event stop only, it is in a %v", t.tid, t.last.Kind)
	}
	r := &Remote{t: t, ctx: ctx}
	if err := r.prepare(); err != nil {
		if r.mem != nil {
			r.mem.Close()
		}
		return nil, fmt.Errorf("prepare task %d for system calls: %w", t.tid, err)
	}
	return r, nil
}

// prepare reads all that Close has to put back; only its last step changes
// anything.
func (r *Remote) prepare() (err error) {
	t := r.t
	if r.original, err = t.Registers(); err != nil {
		return err
	}
	if r.work, err = r.original.forCalls(); err != nil {
		return err
	}
	if r.mask, err = t.SignalMask(); err != nil {
		return err
	}
	if r.mem, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", t.tid), os.O_RDWR, 0); err != nil {
		return err
	}
	if r.site, err = t.site(r.mem, &r.original); err != nil {
		return err
	}
	ptr, _, _, _, err := t.RseqConfiguration()
	if err != nil {
		return err
	}
	if ptr != 0 {
		var b [8]byte
		if err := r.Read(ptr+rseqCSOffset, b[:]); err != nil {
			return err
		}
		if r.rseqCS = binary.LittleEndian.Uint64(b[:]); r.rseqCS != 0 {
			r.rseq = ptr + rseqCSOffset
		}
	}
	r.reason = t.reason
	if err := r.suspendDispatch(); err != nil {
		return err
	}
	if err := t.SetSignalMask(allSignals); err != nil {
		return errors.Join(err, r.resumeDispatch())
	}
	return nil
}

// suspendDispatch lets our calls pass by a thread that handles its own
// (PR_SET_SYSCALL_USER_DISPATCH). Before Linux 6.4 the kernel does not tell.
func (r *Remote) suspendDispatch() error {
	d, err := sys.PtraceSyscallUserDispatch(r.t.tid)
	if err != nil || d.Mode == 0 {
		return nil
	}
	r.dispatch = d
	return r.t.wrap("switch off the system call dispatch of", sys.PtraceSetSyscallUserDispatch(r.t.tid, sys.SyscallUserDispatch{}))
}

func (r *Remote) resumeDispatch() error {
	if r.dispatch.Mode == 0 {
		return nil
	}
	return r.t.wrap("switch on the system call dispatch of", sys.PtraceSetSyscallUserDispatch(r.t.tid, r.dispatch))
}

const (
	allSignals   = ^uint64(0) // the kernel leaves SIGKILL and SIGSTOP out
	rseqCSOffset = 8          // of rseq_cs in struct rseq (include/uapi/linux/rseq.h)
)

// Call makes one system call in the thread. Its errno comes as a unix.Errno.
// After any other error the thread is lost to us or gone; Close still has to
// be called.
func (r *Remote) Call(nr uint64, args ...uint64) (uint64, error) {
	var a [6]uint64
	if copy(a[:], args) < len(args) {
		return 0, fmt.Errorf("system call %d with %d arguments", nr, len(args))
	}
	if !r.started {
		if err := r.learn(); err != nil {
			return 0, fmt.Errorf("look at the call that task %d is in: %w", r.t.tid, err)
		}
	}
	r.work.SetPC(r.site)
	r.work.PrepareCall(nr, a)
	if err := r.t.SetRegisters(r.work); err != nil {
		return 0, err
	}
	r.atExit = false
	for range 2 { // entry and exit
		if err := r.toSyscallStop(); err != nil {
			return 0, fmt.Errorf("system call %d in task %d: %w", nr, r.t.tid, err)
		}
	}
	r.atExit = true
	after, err := r.t.Registers()
	if err != nil {
		return 0, err
	}
	if v := after.Result(); v < 0 && v > -4096 {
		return 0, unix.Errno(-v)
	}
	return uint64(after.Result()), nil
}

// toSyscallStop lets the thread go on to its next system call stop. A SIGSTOP
// that comes in between does its work: the process counts as stopped, and the
// thread joins it after Detach.
func (r *Remote) toSyscallStop() error {
	var sig unix.Signal
	for {
		if err := r.t.syscallContinue(sig); err != nil {
			return err
		}
		r.started, r.running = true, true
		stop, err := r.t.Wait(r.ctx)
		if err != nil {
			return err
		}
		r.running, sig = false, 0
		switch {
		case stop.Kind == SyscallStop:
			return nil
		case stop.Kind == SignalStop:
			sig = stop.Signal
		case stop.Gone():
			return fmt.Errorf("the task is gone (%v)", stop.Kind)
		}
	}
}

// Scratch returns the address of size bytes of the thread's memory for the
// arguments of calls, aligned to 64 bytes. What was there is put back by Close.
func (r *Remote) Scratch(size int) (uint64, error) {
	if uint64(size) <= r.scratch.size() {
		return r.scratch.start, nil
	}
	if err := r.restoreScratch(); err != nil {
		return 0, err
	}
	for {
		a := r.t.space.scratch
		known := a.size() >= uint64(size)
		if !known {
			var err error
			if a, err = r.t.findScratch(r.original.SP(), max(size, minScratch)); err != nil {
				return 0, err
			}
		}
		saved := make([]byte, a.size())
		err := r.Read(a.start, saved)
		if err == nil {
			r.t.space.scratch, r.scratch, r.saved = a, a, saved
			return a.start, nil
		}
		if !known {
			return 0, err
		}
		r.t.space.scratch = area{} // out of date
	}
}

// minScratch is how much Scratch takes at least, in bytes.
const minScratch = 512

func (r *Remote) restoreScratch() error {
	if r.saved == nil {
		return nil
	}
	err := r.Write(r.scratch.start, r.saved)
	r.saved, r.scratch = nil, area{}
	return err
}

// Narrow says whether the thread runs 32-bit code.
func (r *Remote) Narrow() bool { return r.original.Narrow() }

// TID is the thread's number on the host.
func (r *Remote) TID() int { return r.t.tid }

// CriticalSection is what the thread's rseq_cs held when Remote began: the
// address of a restartable sequence's description, 0 if it is in none.
func (r *Remote) CriticalSection() uint64 { return r.rseqCS }

// Read reads the thread's memory at addr, whatever its protection.
func (r *Remote) Read(addr uint64, b []byte) error {
	if _, err := r.mem.ReadAt(b, int64(addr)); err != nil {
		return fmt.Errorf("read %d bytes at %#x of task %d: %w", len(b), addr, r.t.tid, err)
	}
	return nil
}

// Write writes the thread's memory at addr, whatever its protection.
func (r *Remote) Write(addr uint64, b []byte) error {
	if _, err := r.mem.WriteAt(b, int64(addr)); err != nil {
		return fmt.Errorf("write %d bytes at %#x of task %d: %w", len(b), addr, r.t.tid, err)
	}
	return nil
}

// Close puts everything back; the thread is in an EventStop again. When it
// fails, the thread is gone, or did not stop in time. It does its work even if
// the context of Remote has ended.
func (r *Remote) Close() error {
	defer r.mem.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), closePatience)
	defer cancel()
	if err := r.close(ctx); err != nil {
		return fmt.Errorf("put task %d back as it was: %w", r.t.tid, err)
	}
	return nil
}

// closePatience bounds the waits of Close.
const closePatience = 5 * time.Second

func (r *Remote) close(ctx context.Context) error {
	errs := []error{r.restoreScratch()}
	if r.started {
		errs = append(errs, r.remind(), r.toEventStop(ctx))
	}
	if r.rseq != 0 {
		errs = append(errs, r.Write(r.rseq, binary.LittleEndian.AppendUint64(nil, r.rseqCS)))
	}
	errs = append(errs, r.t.SetSignalMask(r.mask), r.t.SetRegisters(r.original), r.resumeDispatch())
	r.t.reason = r.reason
	return errors.Join(errs...)
}

// toEventStop brings the thread from wherever its last call left it to an
// EventStop: only there the kernel still restarts an interrupted call
// afterwards. From the entry of a call it runs through the call.
func (r *Remote) toEventStop(ctx context.Context) error {
	var sig unix.Signal
	for {
		// Before each step: any stop cancels an interrupt that was asked for
		// before it (ptrace_stop, kernel/signal.c), the end of a call that our
		// context did not wait for included.
		if err := r.t.Interrupt(); err != nil {
			return err
		}
		if !r.running {
			if err := r.t.Continue(sig); err != nil {
				return err
			}
		}
		stop, err := r.t.Wait(ctx)
		if err != nil {
			return err
		}
		r.running, sig = false, 0
		switch {
		case stop.Kind == EventStop:
			return nil
		case stop.Kind == SignalStop:
			sig = stop.Signal
		case stop.Gone():
			return fmt.Errorf("the task is gone (%v)", stop.Kind)
		}
	}
}
