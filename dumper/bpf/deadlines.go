package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"lxc-checkpoint/tracee"
)

// deadlines notes until when tasks would have slept whose sleep something
// interrupts. Some system calls forget it then: nobody but their timer knows, which
// lies on the task's own kernel stack and is gone as soon as the call returns. The
// task itself cancels it (schedule_hrtimeout_range_clock, kernel/time/sleep_timeout.c),
// and the kernel has a tracepoint there.
type deadlines struct {
	noted   *ebpf.Map // by the task's number
	program *ebpf.Program
	link    link.Link // nil: it is not attached
}

// The map has its memory beforehand: in a tracepoint there is not always some to be
// had. Of more tasks that are interrupted, nothing is noted.
const maxDeadlines = 1 << 14

// What is noted, words of 8 bytes: the deadline, when the task gave it up, and its
// alternative stack for signals.
const (
	ofExpires      = 0
	whenGivenUp    = 8
	ofStackPointer = 16
	ofStackSize    = 24
	ofStackFlags   = 32
	deadlineSize   = 40
)

// deadlineOffsets are where the fields lie.
type deadlineOffsets struct {
	expires, base uint32 // of hrtimer
	clock         uint32 // of hrtimer_clock_base
	sleeper       uint32 // of hrtimer_sleeper, whose first member is the hrtimer
	stack, pid    uint32 // of task_struct
	// Of task_struct: the alternative stack.
	stackPointer, stackSize, stackFlags uint32
}

// findDeadlines looks them up; nil on a kernel that has them in another shape.
func findDeadlines(spec *btf.Spec) *deadlineOffsets {
	o := &deadlineOffsets{}
	for _, f := range []struct {
		in, name string
		to       *uint32
	}{
		{"hrtimer", "_softexpires", &o.expires},
		{"hrtimer", "base", &o.base},
		{"hrtimer_clock_base", "clockid", &o.clock},
		{"hrtimer_sleeper", "task", &o.sleeper},
		{"task_struct", "stack", &o.stack},
		{"task_struct", "pid", &o.pid},
		{"task_struct", "sas_ss_sp", &o.stackPointer},
		{"task_struct", "sas_ss_size", &o.stackSize},
		{"task_struct", "sas_ss_flags", &o.stackFlags},
	} {
		m, err := member(spec, f.in, f.name)
		if err != nil {
			return nil
		}
		*f.to = uint32(m) / 8
	}
	if at, err := member(spec, "hrtimer_sleeper", "timer"); err != nil || at != 0 {
		return nil
	}
	return o
}

// load loads the program.
func (o *deadlineOffsets) load() (d *deadlines, err error) {
	if o == nil || !tracee.Shortens {
		return nil, errors.New("this kernel has its timers in another shape, or nobody wants to know")
	}
	d = &deadlines{}
	if d.noted, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: deadlineSize, MaxEntries: maxDeadlines}); err != nil {
		return nil, fmt.Errorf("make a map: %w", err)
	}
	if d.program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lxc_deadlines", Type: ebpf.RawTracepoint, Instructions: o.assemble(d.noted), License: "GPL",
	}); err != nil {
		_ = d.noted.Close()
		return nil, fmt.Errorf("load the program for deadlines: %w", err)
	}
	return d, nil
}

// assemble writes the program, for struct hrtimer *timer: it runs whenever a timer
// of the host is cancelled, and nearly always ends at the first question.
//
// R6 the timer, R7 the task; on the stack what is read, and the map's key and value.
func (o *deadlineOffsets) assemble(noted *ebpf.Map) asm.Instructions {
	const timer, task, scratch = asm.R6, asm.R7, asm.R8
	const value, key = -deadlineSize, -deadlineSize - 8
	const maxKernelStack = 64 << 10 // THREAD_SIZE, at most
	p := asm.Instructions{
		asm.LoadMem(timer, asm.R1, 0, asm.DWord),
		asm.FnGetCurrentTask.Call(),
		asm.Mov.Reg(task, asm.R0),
	}
	read := func(to int16, size int32, base asm.Register, offset uint32) {
		p = append(p,
			asm.Mov.Imm(asm.R1, 0),
			asm.StoreMem(asm.RFP, to, asm.R1, asm.DWord),
			asm.Mov.Reg(asm.R3, base),
			asm.Add.Imm(asm.R3, int32(offset)),
			asm.Mov.Reg(asm.R1, asm.RFP),
			asm.Add.Imm(asm.R1, int32(to)),
			asm.Mov.Imm(asm.R2, size),
			asm.FnProbeReadKernel.Call(),
		)
	}
	// leave ends it if what was read, which is in R1 then, is so.
	leave := func(when asm.JumpOp, than asm.Register) {
		p = append(p, asm.LoadMem(asm.R1, asm.RFP, value, asm.DWord), when.Reg(asm.R1, than, "end"))
	}
	// Is it the one that the task itself sleeps by: for it, and on its stack?
	read(value, 8, timer, o.sleeper)
	leave(asm.JNE, task)
	read(value, 8, task, o.stack)
	leave(asm.JGT, timer)
	p = append(p, asm.Add.Imm(asm.R1, maxKernelStack), asm.JLE.Reg(asm.R1, timer, "end"))
	read(value, 8, timer, o.base)
	p = append(p, asm.LoadMem(scratch, asm.RFP, value, asm.DWord))
	read(value, 4, scratch, o.clock)
	p = append(p, asm.Mov.Imm(scratch, unix.CLOCK_MONOTONIC))
	leave(asm.JNE, scratch)
	for _, f := range []struct {
		to, size int16
		of       asm.Register
		at       uint32
	}{
		{value + ofExpires, 8, timer, o.expires},
		{value + ofStackPointer, 8, task, o.stackPointer},
		{value + ofStackSize, 8, task, o.stackSize},
		{value + ofStackFlags, 4, task, o.stackFlags},
		{key, 4, task, o.pid},
	} {
		read(f.to, int32(f.size), f.of, f.at)
	}
	return append(p,
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.RFP, value+whenGivenUp, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, noted.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, key),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, value),
		asm.Mov.Imm(asm.R4, 0), // BPF_ANY: the last one counts
		asm.FnMapUpdateElem.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
		asm.Return(),
	)
}

func (d *deadlines) close() {
	if d == nil {
		return
	}
	if d.link != nil {
		_ = d.link.Close()
	}
	_ = d.program.Close()
	_ = d.noted.Close()
}

// WatchSleeps begins to note deadlines. Where the kernel can't, none is known.
func (t *Teller) WatchSleeps() {
	if t == nil || t.deadlines == nil || t.deadlines.link != nil {
		return
	}
	t.deadlines.link, _ = link.AttachRawTracepoint(link.RawTracepointOptions{Name: "hrtimer_cancel", Program: t.deadlines.program})
}

// UnwatchSleeps ends it.
func (t *Teller) UnwatchSleeps() {
	if t == nil || t.deadlines == nil || t.deadlines.link == nil {
		return
	}
	_ = t.deadlines.link.Close()
	t.deadlines.link = nil
}

// Deadline is until when a task would have slept, by CLOCK_MONOTONIC, whose sleep was
// interrupted after a time by that clock, and its alternative stack. ok is false if it
// did not sleep, or for as long as it takes.
func (t *Teller) Deadline(tid int, after int64) (ns uint64, stack tracee.Stack, ok bool) {
	if t == nil || t.deadlines == nil {
		return 0, stack, false
	}
	b, err := t.deadlines.noted.LookupBytes(uint32(tid))
	if err != nil || len(b) != deadlineSize || word(b, whenGivenUp) < uint64(after) {
		return 0, stack, false
	}
	const disabled = 2 // SS_DISABLE
	if word(b, ofStackFlags)&disabled == 0 {
		stack = tracee.Stack{Pointer: word(b, ofStackPointer), Size: word(b, ofStackSize)}
	}
	return word(b, ofExpires), stack, true
}

func word(b []byte, at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
