package memory

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

const (
	prSetVMA         = 0x53564d41 // PR_SET_VMA, include/uapi/linux/prctl.h
	prSetVMAAnonName = 0
	madvGuardInstall = 102 // Linux 6.13
	sysMseal         = 462 // Linux 6.10, on every architecture
)

// Finish gives an address space what must come after its bytes: advice, locks,
// names.
func (b *Backing) Finish(p place.Process, mm *format.Mm) error {
	if err := mergeAny(p, mm); err != nil {
		return err
	}
	if err := finishVmas(p, mm); err != nil {
		return err
	}
	if err := b.setProgram(p, mm); err != nil {
		return err
	}
	if err := setLDT(p, mm); err != nil {
		return fmt.Errorf("local descriptor table (modify_ldt): %w", err)
	}
	if mm.DenyWriteExec != 0 {
		if _, err := p.Call(unix.SYS_PRCTL, unix.PR_SET_MDWE, uint64(mm.DenyWriteExec), 0, 0, 0); err != nil {
			return fmt.Errorf("deny memory that can be written and executed (PR_SET_MDWE, Linux 6.3): %w", err)
		}
	}
	filter := fmt.Sprintf("%#x", mm.CoredumpFilter)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/coredump_filter", p.PID()), []byte(filter), 0); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// mergeAny has the kernel merge equal pages of all memory, that to come
// included, but for the mappings whose pages the program has kept apart since.
func mergeAny(p place.Process, mm *format.Mm) error {
	if !mm.MergeAny {
		return nil
	}
	if _, err := p.Call(unix.SYS_PRCTL, unix.PR_SET_MEMORY_MERGE, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("merge equal pages (PR_SET_MEMORY_MERGE, Linux 6.4): %w", err)
	}
	var calls []tracee.Call
	for _, v := range mm.Vmas {
		if v.Kind != format.VmaKind_VMA_VSYSCALL && !slices.Contains(v.Advice, unix.MADV_MERGEABLE) {
			calls = append(calls, tracee.Call{Nr: unix.SYS_MADVISE, Args: [6]uint64{v.Start, v.End - v.Start, unix.MADV_UNMERGEABLE}})
		}
	}
	// What can't be merged anyway is no matter.
	return p.Run(calls)
}

func finishVmas(p place.Process, mm *format.Mm) error {
	var calls []tracee.Call
	var about []string
	add := func(what string, nr uint64, args ...uint64) {
		c := tracee.Call{Nr: nr}
		copy(c.Args[:], args)
		calls = append(calls, c)
		about = append(about, what)
	}
	page := uint64(os.Getpagesize())
	heirs := Heirs(mm, page)
	for _, v := range mm.Vmas {
		at := fmt.Sprintf("mapping %#x-%#x", v.Start, v.End)
		for _, a := range v.Advice {
			add(fmt.Sprintf("advice %d for %s", a, at), unix.SYS_MADVISE, v.Start, v.End-v.Start, uint64(a))
		}
		switch {
		case v.LockOnFault:
			add("lock "+at, unix.SYS_MLOCK2, v.Start, v.End-v.Start, unix.MLOCK_ONFAULT)
		case v.Locked && heirs[v] != nil && v.Prot&unix.PROT_WRITE != 0:
			lockShared(v, mm, page, add)
		case v.Locked:
			add("lock "+at, unix.SYS_MLOCK, v.Start, v.End-v.Start)
		}
		if v.Name != "" {
			addr, _ := p.Scratch()
			if err := p.Write(addr, append([]byte(v.Name), 0)); err != nil {
				return err
			}
			if _, err := p.Call(unix.SYS_PRCTL, prSetVMA, prSetVMAAnonName, v.Start, v.End-v.Start, addr); err != nil && err != unix.EINVAL {
				return fmt.Errorf("name of %s: %w", at, err)
			}
		}
	}
	for _, g := range mm.Guards {
		add(fmt.Sprintf("guard region %#x+%#x (Linux 6.13)", g.Start, g.Length), unix.SYS_MADVISE, g.Start, g.Length, madvGuardInstall)
	}
	for bit := uint32(1); bit != 0; bit <<= 1 {
		if mm.Membarrier&bit != 0 {
			add(fmt.Sprintf("register for membarrier (command %#x)", bit), unix.SYS_MEMBARRIER, uint64(bit), 0, 0)
		}
	}
	if mm.LockFuture != 0 {
		// Without MCL_CURRENT it changes no mapping that is there.
		add("lock mappings to come (mlockall)", unix.SYS_MLOCKALL, uint64(mm.LockFuture))
	}
	protectByKeys(mm, add)
	for _, v := range mm.Vmas {
		if v.Sealed { // last of all: nothing can be changed then
			add(fmt.Sprintf("seal mapping %#x-%#x (mseal, Linux 6.10)", v.Start, v.End), sysMseal, v.Start, v.End-v.Start)
		}
	}
	if err := p.Run(calls); err != nil {
		return err
	}
	for i, c := range calls {
		if err := c.Err(); err != nil && about[i] != "" {
			return fmt.Errorf("%s: %w", about[i], err)
		}
	}
	return nil
}

// noProgram leaves /proc/PID/exe as it is.
const noProgram = ^uint32(0)

// setProgram makes a file whose bytes were in the image, a removed one or one in a
// file system in memory, the program of a process.
func (b *Backing) setProgram(p place.Process, mm *format.Mm) error {
	fd, ok := b.program(mm)
	if !ok {
		return nil
	}
	there, err := p.Send([]int{fd})
	if err != nil {
		return err
	}
	if err := b.setMap(p, mm, uint32(there[0])); err != nil {
		return err
	}
	_, err = p.Call(unix.SYS_CLOSE, uint64(there[0]))
	return err
}

// lockShared locks a mapping of which pages are shared since a fork. mlock(2)
// would give the process a copy of each, and mprotect(2) too if it made a locked
// mapping writable (populate_vma_page_range, mm/gup.c; mprotect_fixup,
// mm/mprotect.c). So it is locked as its pages come, and then without that: by an
// mlock that marks all of it, and stops at its first page, which can't be read.
// Its error is what is wanted. add without a name adds a call that may fail.
func lockShared(v *format.Vma, mm *format.Mm, page uint64, add func(what string, nr uint64, args ...uint64)) {
	at := fmt.Sprintf("mapping %#x-%#x", v.Start, v.End)
	add("lock "+at, unix.SYS_MLOCK2, v.Start, v.End-v.Start, unix.MLOCK_ONFAULT)
	add("protect "+at, unix.SYS_MPROTECT, v.Start, page, unix.PROT_NONE)
	add("", unix.SYS_MLOCK, v.Start, v.End-v.Start)
	add("unprotect "+at, unix.SYS_MPROTECT, v.Start, page, uint64(v.Prot))
	for _, rest := range surplus([]Piece{{v, v.Start, v.End}}, mm, page) {
		add("fill "+at, unix.SYS_MADVISE, rest.Start, rest.End-rest.Start, unix.MADV_POPULATE_WRITE)
	}
}

// setMap is PR_SET_MM_MAP (prctl(2), struct prctl_mm_map). The kernel refuses
// another /proc/PID/exe while the old one is mapped; the stub's no longer is.
func (b *Backing) setMap(p place.Process, mm *format.Mm, exe uint32) error {
	const prSetMM, prSetMMMap, size = 35, 14, 104
	addr, _ := p.Scratch()
	m := make([]byte, size+len(mm.Auxv))
	le := binary.LittleEndian
	for i, f := range []uint64{
		mm.StartCode, mm.EndCode, mm.StartData, mm.EndData, mm.StartBrk, mm.Brk,
		mm.StartStack, mm.ArgStart, mm.ArgEnd, mm.EnvStart, mm.EnvEnd, addr + size,
	} {
		le.PutUint64(m[8*i:], f)
	}
	le.PutUint32(m[96:], uint32(len(mm.Auxv)))
	le.PutUint32(m[100:], exe)
	copy(m[size:], mm.Auxv)
	if err := p.Write(addr, m); err != nil {
		return err
	}
	if _, err := p.Call(unix.SYS_PRCTL, prSetMM, prSetMMMap, addr, size, 0); err != nil {
		return fmt.Errorf("set program, arguments and break of process %d (PR_SET_MM_MAP; needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the container): %w", p.PID(), err)
	}
	return nil
}
