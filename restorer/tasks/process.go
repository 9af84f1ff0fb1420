// Package tasks gives tasks that are being built what is their own: signals,
// credentials, limits, timers, scheduling, registers.
package tasks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/ia32"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

var le = binary.LittleEndian

const lastSignal = 64

// Actions sets all signal actions, those of SIG_DFL too: the first process
// may have inherited others. An ignored SIGTRAP is left to Release: every batch
// would reset it.
func Actions(p place.Process, h *format.Sighand) error {
	const size = 32 // struct kernel_sigaction with a 64 bit mask
	addr, _ := p.Scratch()
	table := make([]byte, (lastSignal+1)*size)
	var narrow [lastSignal + 1]bool // set by a 32-bit call
	for _, a := range h.Actions {
		if a.Signal == 0 || a.Signal > lastSignal {
			return fmt.Errorf("the statefile has an action for signal %d, which does not exist", a.Signal)
		}
		b := table[a.Signal*size:]
		if runtime.GOARCH == "amd64" && a.Flags&ia32.SigactionABI != 0 {
			narrow[a.Signal] = true
			le.PutUint32(b, uint32(a.Handler)) // struct compat_sigaction
			le.PutUint32(b[4:], uint32(a.Flags&^ia32.SigactionABI))
			le.PutUint32(b[8:], uint32(a.Restorer))
			le.PutUint64(b[12:], a.Mask)
			continue
		}
		le.PutUint64(b, a.Handler)
		le.PutUint64(b[8:], a.Flags)
		le.PutUint64(b[16:], a.Restorer)
		le.PutUint64(b[24:], a.Mask)
	}
	if err := p.Write(addr, table); err != nil {
		return err
	}
	var calls []tracee.Call
	for sig := uint64(1); sig <= lastSignal; sig++ {
		if sig == uint64(unix.SIGKILL) || sig == uint64(unix.SIGSTOP) {
			continue
		}
		if narrow[sig] {
			calls = append(calls, tracee.Call{Nr: narrowSigaction, Args: [6]uint64{sig, addr + sig*size, 0, 8}, Narrow: true})
			continue
		}
		calls = append(calls, tracee.Call{Nr: unix.SYS_RT_SIGACTION, Args: [6]uint64{sig, addr + sig*size, 0, 8}})
	}
	return runAll(p, calls, func(i int) string { return fmt.Sprintf("action of signal %d", calls[i].Args[0]) })
}

// Numbers of 32-bit calls (arch/x86/entry/syscalls/syscall_32.tbl).
const (
	narrowSigaction  = 174
	narrowRobustList = 311
)

// runAll runs calls, and says of the first that failed what it was for.
func runAll(p place.Process, calls []tracee.Call, about func(i int) string) error {
	if err := p.Run(calls); err != nil {
		return err
	}
	for i := range calls {
		if err := calls[i].Err(); err != nil {
			return fmt.Errorf("%s: %w", about(i), err)
		}
	}
	return nil
}

// late says of a limit that it may be lower than what is in use, in a way that
// matters to the restart: what is queued would not be; and who becomes a user
// that has more processes than it allows may not execute programs then
// (flag_nproc_exceeded, kernel/sys.c).
func late(resource uint32) bool {
	return resource == unix.RLIMIT_SIGPENDING || resource == unix.RLIMIT_NPROC
}

// Limits sets resource limits that differ from what the process inherited. Those
// that come late are only raised here, as long as it may do so.
func Limits(p place.Process, limits []*format.Limit) error {
	for _, l := range limits {
		if late(l.Resource) {
			var have unix.Rlimit
			_ = unix.Prlimit(p.PID(), int(l.Resource), nil, &have)
			most := max(l.Maximum, have.Max)
			l = &format.Limit{Resource: l.Resource, Current: most, Maximum: most}
		}
		if err := limit(p, l); err != nil {
			return err
		}
	}
	return nil
}

// LateLimits sets those limits that may be lower than what is in use.
func LateLimits(p place.Process, limits []*format.Limit) error {
	for _, l := range limits {
		if late(l.Resource) {
			if err := limit(p, l); err != nil {
				return err
			}
		}
	}
	return nil
}

func limit(p place.Process, l *format.Limit) error {
	var have unix.Rlimit
	// Another user's limits can't be read without CAP_SYS_RESOURCE; then they are
	// set whatever they are.
	if err := unix.Prlimit(p.PID(), int(l.Resource), nil, &have); err == nil && have.Cur == l.Current && have.Max == l.Maximum {
		return nil
	}
	var b [16]byte
	le.PutUint64(b[:], l.Current)
	le.PutUint64(b[8:], l.Maximum)
	addr, _ := p.Scratch()
	if err := p.Write(addr, b[:]); err != nil {
		return err
	}
	_, err := p.Call(unix.SYS_PRLIMIT64, 0, uint64(l.Resource), addr, 0)
	if errors.Is(err, unix.EPERM) {
		// One in a user namespace may raise nothing, whatever its rights there.
		err = unix.Prlimit(p.PID(), int(l.Resource), &unix.Rlimit{Cur: l.Current, Max: l.Maximum}, nil)
	}
	if err == nil {
		return nil
	}
	hint := ""
	if errors.Is(err, unix.EPERM) {
		hint = fmt.Sprintf(" (the hard limit here is %d: raising it needs CAP_SYS_RESOURCE, or start the restart with a higher one)", have.Max)
	}
	return fmt.Errorf("set limit %s to %d (hard %d)%s: %w", limitName(l.Resource), l.Current, l.Maximum, hint, err)
}

func limitName(r uint32) string {
	names := []string{"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"}
	if int(r) < len(names) {
		return "RLIMIT_" + names[r]
	}
	return strconv.Itoa(int(r))
}

// OOMScore sets what the OOM killer thinks of the process.
func OOMScore(p place.Process, score int32) error {
	path := fmt.Sprintf("/proc/%d/oom_score_adj", p.PID())
	want := strconv.Itoa(int(score))
	if have, err := os.ReadFile(path); err == nil && string(have) == want+"\n" {
		return nil
	}
	err := os.WriteFile(path, []byte(want), 0)
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("set oom_score_adj to %d: lowering it needs CAP_SYS_RESOURCE: %w", score, err)
	}
	return err
}

// Autogroup sets the nice value of the process's session as a whole; a kernel
// without such groups can do without.
func Autogroup(p place.Process, nice int32) error {
	path := fmt.Sprintf("/proc/%d/autogroup", p.PID())
	text, err := os.ReadFile(path)
	if err != nil || strings.HasSuffix(string(text), fmt.Sprintf(" nice %d\n", nice)) {
		return nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(int(nice))), 0); err != nil {
		return fmt.Errorf("nice value %d of its session (/proc/PID/autogroup; lowering it needs CAP_SYS_NICE): %w", nice, err)
	}
	return nil
}

// Subreaper says whether the process adopts the orphans below it.
func Subreaper(p place.Process, on bool) error {
	flag := uint64(0)
	if on {
		flag = 1
	}
	_, err := p.Call(unix.SYS_PRCTL, unix.PR_SET_CHILD_SUBREAPER, flag, 0, 0, 0)
	return err
}

// Timers starts the interval timers with what remained.
func Timers(p place.Process, timers []*format.IntervalTimer) error {
	addr, _ := p.Scratch()
	for _, t := range timers {
		var b [32]byte
		le.PutUint64(b[0:], t.IntervalUs/1e6)
		le.PutUint64(b[8:], t.IntervalUs%1e6)
		le.PutUint64(b[16:], t.ValueUs/1e6)
		le.PutUint64(b[24:], t.ValueUs%1e6)
		if err := p.Write(addr, b[:]); err != nil {
			return err
		}
		if _, err := p.Call(unix.SYS_SETITIMER, uint64(t.Which), addr, 0); err != nil {
			return fmt.Errorf("start interval timer %d: %w", t.Which, err)
		}
	}
	return nil
}

// Directories are the descriptors, in the process, of a task's root and working
// directory; Root is -1 if it is the container's.
type Directories struct{ Root, Cwd int }

// Fs sets root, working directory and umask.
func Fs(p place.Process, d Directories, umask uint32) error {
	if d.Root >= 0 {
		addr, _ := p.Scratch()
		if err := p.Write(addr, []byte(".\x00")); err != nil {
			return err
		}
		if _, err := p.Call(unix.SYS_FCHDIR, uint64(d.Root)); err != nil {
			return fmt.Errorf("enter its root: %w", err)
		}
		if _, err := p.Call(unix.SYS_CHROOT, addr); err != nil {
			return fmt.Errorf("change its root (needs CAP_SYS_CHROOT in the container): %w", err)
		}
	}
	if _, err := p.Call(unix.SYS_FCHDIR, uint64(d.Cwd)); err != nil {
		return fmt.Errorf("enter its working directory: %w", err)
	}
	_, err := p.Call(unix.SYS_UMASK, uint64(umask))
	return err
}
