package memory

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/tracee"
)

// Facts are what no file tells of an address space.
type Facts struct {
	Brk      uint64 // end of the heap, brk(2)
	Dumpable uint32 // PR_GET_DUMPABLE
	// LockFuture is what mlockall(2) has ordered for mappings to come: 0,
	// MCL_FUTURE, or MCL_FUTURE|MCL_ONFAULT.
	LockFuture uint32
	Membarrier uint32 // registrations of membarrier(2), as view.TaskFacts has them
	Keys       uint32 // of pkey_alloc(2), as view.TaskFacts has them
	Settings
}

// Settings are what prctl(2) and modify_ldt(2) have set of an address space.
type Settings struct {
	DenyWriteExec uint32 // PR_GET_MDWE
	MergeAny      bool   // PR_GET_MEMORY_MERGE
	ThpDisable    uint32 // PR_GET_THP_DISABLE: 0, 1, or 1|PR_THP_DISABLE_EXCEPT_ADVISED
	LDT           []byte // its local descriptor table, as Mm has it
}

// AskSettings has a process make the calls that tell its Settings. Kernels that
// do not know one (Linux 6.3, 6.4) answer EINVAL: nothing has set it then.
func AskSettings(r *tracee.Remote) (s Settings, err error) {
	ask := func(option uint64) uint64 {
		v, e := r.Call(unix.SYS_PRCTL, option, 0, 0, 0, 0)
		if e != nil && !errors.Is(e, unix.EINVAL) && err == nil {
			err = fmt.Errorf("have it call prctl(%d): %w", option, e)
		}
		if e != nil {
			return 0
		}
		return v
	}
	s.DenyWriteExec = uint32(ask(unix.PR_GET_MDWE))
	s.MergeAny = ask(unix.PR_GET_MEMORY_MERGE) != 0
	s.ThpDisable = uint32(ask(unix.PR_GET_THP_DISABLE))
	if err == nil {
		if s.LDT, err = askLDT(r); err != nil {
			err = fmt.Errorf("ask for its local descriptor table: %w", err)
		}
	}
	return s, err
}

// Ask has a process make the system calls that tell its Facts. None of them
// sleeps or changes anything.
func Ask(r *tracee.Remote) (Facts, error) {
	var f Facts
	var err error
	if f.Brk, err = r.Call(unix.SYS_BRK, 0); err != nil {
		return f, fmt.Errorf("ask for the end of its heap: %w", err)
	}
	dumpable, err := r.Call(unix.SYS_PRCTL, unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return f, fmt.Errorf("ask whether it is dumpable: %w", err)
	}
	f.Dumpable = uint32(dumpable)
	if f.Settings, err = AskSettings(r); err != nil {
		return f, err
	}
	if f.LockFuture, err = askLockFuture(r); err != nil {
		return f, fmt.Errorf("ask whether mappings to come are locked: %w", err)
	}
	f.Membarrier = askMembarrier(r)
	if f.Keys, err = askKeys(r); err != nil {
		return f, fmt.Errorf("ask for its protection keys: %w", err)
	}
	return f, nil
}

// askMembarrier asks for the registrations of membarrier(2). Before Linux 6.3
// it tries each command: one without its registration says EPERM. What
// MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED has made does not show then.
func askMembarrier(r *tracee.Remote) uint32 {
	const getRegistrations = 1 << 9
	if all, err := r.Call(unix.SYS_MEMBARRIER, getRegistrations, 0, 0); err == nil {
		return uint32(all)
	}
	all := uint32(0)
	for _, command := range []uint32{1 << 3, 1 << 5, 1 << 7} { // PRIVATE_EXPEDITED, its SYNC_CORE, its RSEQ
		if _, err := r.Call(unix.SYS_MEMBARRIER, uint64(command), 0, 0); err == nil {
			all |= command << 1 // that registers it
		}
	}
	return all
}

// askLockFuture finds out what mlockall(2) has ordered for mappings to come by
// a page that is mapped and unmapped again: no call and no file tells it.
func askLockFuture(r *tracee.Remote) (uint32, error) {
	before, err := procfs.ReadStatus(r.TID())
	if err != nil {
		return 0, err
	}
	at, err := mapPages(r, pageSize, unix.PROT_READ)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return unix.MCL_FUTURE, nil // RLIMIT_MEMLOCK allows no more of it
	case errors.Is(err, unix.ENOMEM):
		return 0, fmt.Errorf("it has as many mappings as vm.max_map_count allows, and there is no eBPF to tell it: raise that sysctl: %w", err)
	}
	if err != nil {
		return 0, err
	}
	after, err := procfs.ReadStatus(r.TID())
	locked := after.Locked > before.Locked
	present := false
	if err == nil && locked {
		present, err = isPresent(r.TID(), at)
	}
	if _, e := r.Call(unix.SYS_MUNMAP, at, pageSize); err == nil {
		err = e
	}
	switch {
	case err != nil || !locked:
		return 0, err
	case present:
		return unix.MCL_FUTURE, nil
	}
	return unix.MCL_FUTURE | unix.MCL_ONFAULT, nil
}

// mapPages has a process map some bytes. One that has more memory than its limit
// (RLIMIT_AS) allows gets the room for just this call.
func mapPages(r *tracee.Remote, size, protection uint64) (at uint64, err error) {
	flags := uint64(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS)
	if r.Narrow() {
		// Else the kernel looks for a place where 64-bit calls have theirs, and
		// finds that the address space of a 32-bit program ends below (ENOMEM).
		const map32Bit = 0x40 // MAP_32BIT of amd64
		flags |= map32Bit
	}
	call := func() (uint64, error) {
		return r.Call(unix.SYS_MMAP, 0, size, protection, flags, ^uint64(0), 0)
	}
	if at, err = call(); !errors.Is(err, unix.ENOMEM) {
		return at, err
	}
	var limit unix.Rlimit
	if e := unix.Prlimit(r.TID(), unix.RLIMIT_AS, nil, &limit); e != nil || limit.Cur == unix.RLIM_INFINITY {
		return 0, err
	}
	room := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if e := unix.Prlimit(r.TID(), unix.RLIMIT_AS, &room, nil); e != nil {
		return 0, e
	}
	defer func() {
		if e := unix.Prlimit(r.TID(), unix.RLIMIT_AS, &limit, nil); e != nil && err == nil {
			err = e
		}
	}()
	return call()
}

// fields fills in what an address space has besides its mappings.
func (l *looker) fields(s *spaceLook) error {
	m, err := procfs.ReadMemoryStat(s.PID)
	if err != nil {
		return err
	}
	mm := s.mm
	mm.StartCode, mm.EndCode = m.StartCode, m.EndCode
	mm.StartData, mm.EndData = m.StartData, m.EndData
	mm.StartBrk, mm.Brk = m.StartBrk, s.Facts.Brk
	mm.StartStack = m.StartStack
	mm.ArgStart, mm.ArgEnd = m.ArgStart, m.ArgEnd
	mm.EnvStart, mm.EnvEnd = m.EnvStart, m.EnvEnd
	status, err := procfs.ReadStatus(s.PID)
	if err != nil {
		return err
	}
	const exceptAdvised = 2 // PR_THP_DISABLE_EXCEPT_ADVISED, which status does not show
	mm.ThpExceptAdvised = s.Facts.ThpDisable&exceptAdvised != 0
	mm.DenyWriteExec, mm.MergeAny = s.Facts.DenyWriteExec, s.Facts.MergeAny
	mm.Dumpable, mm.ThpDisable, mm.LockFuture = s.Facts.Dumpable, status.THPDisabled || mm.ThpExceptAdvised, s.Facts.LockFuture
	mm.Membarrier, mm.DescriptorTable, mm.ProtectionKeys = s.Facts.Membarrier, s.Facts.LDT, s.Facts.Keys
	if mm.Auxv, err = procfs.ReadFile(fmt.Sprintf("/proc/%d/auxv", s.PID)); err != nil {
		return err
	}
	if mm.CoredumpFilter, err = coredumpFilter(s.PID); err != nil {
		return err
	}
	return l.program(s)
}

// coredumpFilter reads /proc/PID/coredump_filter (core(5)); a kernel without
// core dumps has none.
func coredumpFilter(pid int) (uint32, error) {
	text, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/coredump_filter", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 16, 32)
	return uint32(n), err
}

// program finds /proc/PID/exe.
func (l *looker) program(s *spaceLook) error {
	link := fmt.Sprintf("/proc/%d/exe", s.PID)
	path, err := os.Readlink(link)
	if err != nil {
		return err
	}
	f := &fileLook{}
	f.identify(l, s, link)
	if f.err != nil {
		return f.err
	}
	if o := f.obstacle; o != nil {
		s.refuse(nil, o.Kind, fmt.Sprintf("its program %s: %s", path, o.Reason), o.Remedy)
		return nil
	}
	s.mm.Exe = f.id
	if f.object != nil {
		s.mm.ExeMemory = f.object.Message.Id
	}
	return nil
}
