// Package bpf tells facts of stopped tasks that no file of /proc has, by an
// eBPF iterator over the kernel's tasks (Linux 5.8, with BTF). The program is
// assembled here, with the field offsets of the running kernel: no compiler,
// no object file. One pass reads all tasks, and none of them has to run.
package bpf

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
)

// Teller is a loaded program.
type Teller struct {
	filter  *ebpf.Map // the processes to tell of, by their number
	record  *ebpf.Map
	program *ebpf.Program
	iter    *link.Iter
	bit     uint32 // of is_child_subreaper in its byte
	block   blockOffsets
	undo    *undoOffsets
	seen    *seenOffsets
	timers  *timerOffsets
	// deadlines are those of sleeps; nil: nobody notes them.
	deadlines *deadlines
	// usual are the flags that tasks have that do nothing special (unusual).
	usual uint64
	// domain is where a task's Landlock domain lies (restricted), -1: nowhere.
	domain int
	// Where there is none, the record has a 0, which is root's.
	hasLoginUID bool
	hasKeys     bool
}

// maxProcesses is how many processes Tasks takes: each place in the map costs
// the kernel 16 bytes.
const maxProcesses = 1 << 16

// Open loads the program; that takes some 60 ms, so it comes before the
// freeze. The error says why this kernel has no such teller.
func Open() (t *Teller, err error) {
	if err := inFirstPidNamespace(); err != nil {
		return nil, err
	}
	o, err := find()
	if err != nil {
		return nil, err
	}
	_ = rlimit.RemoveMemlock() // before Linux 5.11; what it forbids shows below
	t = &Teller{bit: o.subreaperBit, block: o.block, undo: o.undo, seen: o.seen, timers: o.timers, hasLoginUID: o.loginUID != 0, hasKeys: o.keys != 0 && o.executeOnlyKey != 0}
	defer func() {
		if err != nil {
			t.Close()
			t = nil
		}
	}()
	if t.filter, err = ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.Hash, KeySize: 4, ValueSize: 1, MaxEntries: maxProcesses, Flags: unix.BPF_F_NO_PREALLOC,
	}); err != nil {
		return t, fmt.Errorf("make a map: %w", err)
	}
	if t.record, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: recordSize, MaxEntries: 1}); err != nil {
		return t, fmt.Errorf("make a map: %w", err)
	}
	if t.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lxc_checkpoint", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "task",
		Instructions: assemble(o, t.filter, t.record),
		License:      "GPL", // what bpf_probe_read_kernel asks for
	}); err != nil {
		return t, fmt.Errorf("load the program (needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN): %w", err)
	}
	if t.iter, err = link.AttachIter(link.IterOptions{Program: t.program}); err != nil {
		return t, fmt.Errorf("make the iterator: %w", err)
	}
	t.deadlines, _ = o.deadlines.load()
	return t, t.calibrate()
}

// inFirstPidNamespace: the kernel's task numbers are those of its first pid
// namespace, and ours must be the same.
func inFirstPidNamespace() error {
	const first = "pid:[4026531836]" // PROC_PID_INIT_INO, include/linux/proc_ns.h
	have, err := os.Readlink("/proc/self/ns/pid")
	if err == nil && have != first {
		err = errors.New("this is not the host's first pid namespace")
	}
	return err
}

// Close unloads it. A nil Teller is fine.
func (t *Teller) Close() {
	if t == nil {
		return
	}
	t.deadlines.close()
	for _, c := range []io.Closer{t.iter, t.program, t.record, t.filter} {
		// An interface that holds a nil pointer is not nil.
		switch v := c.(type) {
		case *link.Iter:
			if v != nil {
				_ = v.Close()
			}
		case *ebpf.Program:
			_ = v.Close()
		case *ebpf.Map:
			_ = v.Close()
		}
	}
}

// Tasks tells the facts of every task of the processes, by the task's number.
// They must stand still.
func (t *Teller) Tasks(processes []int) (map[int]*view.TaskFacts, error) {
	facts := map[int]*view.TaskFacts{}
	once := once{actions: map[uint64][]byte{}, limits: map[uint64][]view.Limit{}}
	err := t.each(processes, func(record []byte) {
		f := t.parse(record)
		once.fill(f, record)
		facts[int(binary.NativeEndian.Uint32(record[atPID:]))] = f
	})
	if err != nil {
		return nil, err
	}
	return facts, nil
}

// each has the kernel write the records of the processes' tasks. There may be
// very many: they are taken one by one.
func (t *Teller) each(processes []int, do func(record []byte)) error {
	for _, pid := range processes {
		if err := t.filter.Put(uint32(pid), uint8(1)); err != nil {
			return fmt.Errorf("fill the map of processes: %w", err)
		}
	}
	r, err := t.iter.Open()
	if err != nil {
		return fmt.Errorf("open the iterator: %w", err)
	}
	defer r.Close()
	many := bufio.NewReaderSize(r, 32*recordSize)
	record := make([]byte, recordSize)
	for {
		switch _, err := io.ReadFull(many, record); {
		case err == io.EOF:
			return nil
		case err == io.ErrUnexpectedEOF:
			return errors.New("the iterator wrote something that is no whole number of records")
		case err != nil:
			return fmt.Errorf("read the iterator: %w", err)
		}
		do(record)
	}
}

// once keeps what many tasks have in common.
type once struct {
	actions map[uint64][]byte // by the address of the signal actions
	limits  map[uint64][]view.Limit
}

func (o *once) fill(f *view.TaskFacts, record []byte) {
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(record[at:]) }
	if o.actions[word(atSighand)] == nil {
		o.actions[word(atSighand)] = bytes.Clone(record[atActions:recordSize])
	}
	f.Actions = o.actions[word(atSighand)]
	if f.Seen == nil {
		return
	}
	if o.limits[word(atSignal)] == nil {
		o.limits[word(atSignal)] = parseLimits(record)
	}
	f.Seen.Limits = o.limits[word(atSignal)]
}

// calibrate finds out by our own threads what tasks look like that have nothing
// special, and what one looks like that has restricted itself.
func (t *Teller) calibrate() error {
	restricted := startRestricted()
	defer restricted.stop()
	us := os.Getpid()
	var ours [][]byte
	err := t.each([]int{us}, func(record []byte) {
		t.usual |= binary.NativeEndian.Uint64(record[atThreadFlags:])
		ours = append(ours, bytes.Clone(record))
	})
	if err != nil {
		return err
	}
	t.domain = restricted.domainAt(ours)
	return t.filter.Delete(uint32(us))
}

func (t *Teller) parse(b []byte) *view.TaskFacts {
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	half := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	const (
		autoDisarm = 1 << 31 // SS_AUTODISARM, what sigaltstack(2) takes from sas_ss_flags
		disable    = 2       // SS_DISABLE, which it tells when there is none
		// MMF_HAS_MDWE, MMF_HAS_MDWE_NO_INHERIT, MMF_VM_MERGE_ANY, which take bits
		// 28 to 30 in one order or another since Linux 6.3, and bit 23,
		// MMF_DISABLE_THP_EXCEPT_ADVISED of Linux 6.18, before that something else.
		mayBeSet     = 7<<28 | 1<<23
		dumpableMask = 3      // MMF_DUMPABLE_MASK (include/linux/mm_types.h)
		vmLocked     = 0x2000 // VM_LOCKED, VM_LOCKONFAULT (include/linux/mm.h)
		vmOnFault    = 0x80000
	)
	f := &view.TaskFacts{
		ClearChildTID:     word(atClearTID),
		ParentDeathSignal: half(atDeathSignal),
		Securebits:        half(atSecurebits),
		Stack:             view.AlternateStack{Pointer: word(atStackSP), Size: word(atStackSize), Flags: half(atStackFlags) & autoDisarm},
		ChildSubreaper:    b[atSubreaper]&(1<<t.bit) != 0,
		// A real timer whose signal nobody has taken yet is not armed, and has an
		// interval. Of the two CPU timers, what is not 0 is when they expire.
		IntervalTimers: b[atArmed] != 0 || word(atInterval) != 0 || word(atCPUTimers) != 0 || word(atCPUTimers+cpuTimerSize) != 0,
		Block:          t.block.parse(b[atBlock:][:blockSize]),
		Undo:           t.undo.parse(b[atUndo:][:undoSize]),
		Seen:           t.seen.parse(b),
		AbsoluteTimers: t.timers.parse(b),
		Landlock:       t.domain >= 0 && word(atBlob+t.domain) != 0,
		LastPID:        max(half(atNextPID), 1) - 1,
		Flags:          half(atFlags),
		MemoryPolicy:   word(atMemoryPolicy) != 0,
		Keyrings:       word(atKeyrings) != 0 || word(atKeyrings+8) != 0,
		MemorySettings: word(atMMFlags)&mayBeSet != 0,
		Brk:            word(atBrk),
		Dumpable:       uint32(word(atMMFlags) & dumpableMask),
	}
	if word(atDefFlags)&vmLocked != 0 {
		f.LockFuture = unix.MCL_FUTURE
	}
	if word(atDefFlags)&vmOnFault != 0 {
		f.LockFuture |= unix.MCL_ONFAULT
	}
	if t.hasLoginUID {
		f.LoginUIDPlusOne = uint64(half(atLoginUID)) + 1
	}
	f.LDT = word(atLDT) != 0
	f.Aio = word(atAio) != 0
	if keys := half(atKeys); t.hasKeys {
		// The default key is none that was allocated, and nobody may use the one of
		// memory that is only executed (mm_pkey_is_allocated, arch/x86/include/asm/pkeys.h).
		f.Keys = keys & 0xffff &^ 1
		if only := keys >> 16; only < 16 {
			f.Keys &^= 1 << only
		}
	}
	f.Address = word(atTask)
	f.Unusual = unusual(word(atThreadFlags) &^ t.usual)
	// MEMBARRIER_STATE_* (include/linux/sched/mm.h), each with the command that
	// sets it (include/uapi/linux/membarrier.h).
	for state, command := range map[uint32]uint32{1 << 1: 1 << 4, 1 << 3: 1 << 2, 1 << 5: 1 << 6, 1 << 7: 1 << 8} {
		if half(atMembarrier)&state != 0 {
			f.Membarrier |= command
		}
	}
	if f.Stack.Size == 0 {
		f.Stack.Flags |= disable
	}
	return f
}
