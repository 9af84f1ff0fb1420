package bpf

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// timerOffsets are where the fields lie by which a process's list of timers of
// timer_create(2) is walked (kernel/time/posix-timers.c).
type timerOffsets struct {
	head            uint32 // of signal_struct
	list, id, clock uint32 // of k_itimer
	base            uint32 // of k_itimer: that of its hrtimer
	expires         uint32 // of k_itimer: that of its hrtimer
	kind            uint32 // of hrtimer_clock_base: clockid
}

// The part of the record for them: the list's first pointer, and entries.
const (
	maxTimers   = 32
	timerNext   = 0  // 8: the entry after this one
	timerBase   = 8  // 8: struct hrtimer_clock_base
	timerID     = 16 // 4
	timerClock  = 20 // 4
	timerKind   = 24 // 4, padded
	timerAt     = 32 // 8
	timerEntry  = 40
	timersEntry = 8 // the first
	timersSize  = timersEntry + maxTimers*timerEntry
)

// findTimers looks the offsets up; nil on a kernel that has them in another shape.
func findTimers(spec *btf.Spec) *timerOffsets {
	o := &timerOffsets{}
	for _, f := range []struct {
		in, name string
		to       *uint32
	}{
		{"signal_struct", "posix_timers", &o.head},
		{"k_itimer", "list", &o.list},
		{"k_itimer", "it_id", &o.id},
		{"k_itimer", "it_clock", &o.clock},
		{"hrtimer", "base", &o.base},
		{"hrtimer", "node", &o.expires},
		{"hrtimer_clock_base", "clockid", &o.kind},
	} {
		m, err := member(spec, f.in, f.name)
		if err != nil {
			return nil
		}
		*f.to = uint32(m) / 8
	}
	var node, s *btf.Struct
	if spec.TypeByName("timerqueue_node", &node) != nil || spec.TypeByName("k_itimer", &s) != nil {
		return nil
	}
	at, ok := search(node.Members, "expires")
	if !ok {
		return nil
	}
	o.expires += uint32(at) / 8
	// it.real.timer
	for _, m := range s.Members {
		if m.Name != "it" {
			continue
		}
		if at, ok := inPart(&btf.Struct{Members: []btf.Member{m}}, "real", "timer"); ok {
			o.base, o.expires = o.base+at, o.expires+at
			return o
		}
	}
	return nil
}

// walk adds the instructions that read the list into a record, of the first task
// of a process only.
func (o *timerOffsets) walk(p asm.Instructions, read func(p asm.Instructions, to, size int32, base asm.Instruction, offset uint32) asm.Instructions) asm.Instructions {
	pointer := func(at int16) asm.Instruction { return asm.LoadMem(asm.R3, asm.R8, at, asm.DWord) }
	const end = "timers end"
	p = append(p,
		asm.LoadMem(asm.R1, asm.R8, atPID, asm.Word),
		asm.LoadMem(asm.R2, asm.R8, atTGID, asm.Word),
		asm.JNE.Reg(asm.R1, asm.R2, end),
	)
	p = read(p, atTimers, 8, pointer(atSignal), o.head)
	this := int16(atTimers)
	for i := range int32(maxTimers) {
		at := int32(atTimers + timersEntry + i*timerEntry)
		p = append(p,
			asm.LoadMem(asm.R1, asm.R8, this, asm.DWord),
			asm.JEq.Imm(asm.R1, 0, end),
		)
		p = read(p, at+timerNext, 8, pointer(this), 0)
		p = read(p, at+timerID, 4, pointer(this), o.id-o.list)
		p = read(p, at+timerClock, 4, pointer(this), o.clock-o.list)
		p = read(p, at+timerBase, 8, pointer(this), o.base-o.list)
		p = read(p, at+timerAt, 8, pointer(this), o.expires-o.list)
		p = read(p, at+timerKind, 4, pointer(int16(at+timerBase)), o.kind)
		this = int16(at + timerNext)
	}
	return append(p, asm.Mov.Imm(asm.R0, 0).WithSymbol(end))
}

// parse reads which timers of a record stand at a time of the day, and at which: of
// CLOCK_REALTIME they are kept so only when they were started with TIMER_ABSTIME;
// others count on CLOCK_MONOTONIC (common_hrtimer_arm). Of more timers than the
// record has, the rest is not known.
func (o *timerOffsets) parse(record []byte) map[uint32]int64 {
	half := func(at int) uint32 { return binary.NativeEndian.Uint32(record[at:]) }
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(record[at:]) }
	if o == nil || half(atPID) != half(atTGID) {
		return nil
	}
	absolute := map[uint32]int64{}
	end := word(atSignal) + uint64(o.head) // of a list, before Linux 6.13
	this := word(atTimers)
	for i := 0; i < maxTimers && this != 0 && this != end; i++ {
		at := atTimers + timersEntry + i*timerEntry
		if half(at+timerClock) == unix.CLOCK_REALTIME && half(at+timerKind) == unix.CLOCK_REALTIME {
			absolute[half(at+timerID)] = int64(word(at + timerAt))
		}
		this = word(at + timerNext)
	}
	return absolute
}
