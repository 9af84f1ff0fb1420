package programs

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// probes loads small programs to see what the verifier makes of an instruction.
// What becomes of one depends on the kernel's version, its configuration and its
// addresses; nothing of that has to be known here.
type probes struct {
	contexts map[contextKey][]rule
	accesses map[accessKey][]access
	calls    map[kindKey][]rule
}

// kindKey is what says what programs may do.
type kindKey struct {
	kind, attachType uint32
	gpl              bool
}

func newProbes() probes {
	return probes{map[contextKey][]rule{}, map[accessKey][]access{}, map[kindKey][]rule{}}
}

// guess says which loads from the context are taken for loads of a part of a
// field. Such a load becomes the same as one of the whole field with a mask after
// it; or just the same, if no field of the kernel is wider.
type guess int

const (
	whole  guess = iota // none
	masked              // those that have a mask
	parts               // all that can be
	guesses
)

// undo works out what was loaded as have; p says how.
func (c *probes) undo(p *sys.BPFProgram, have *xlated, maps *mapSet, g guess) ([]sys.BPFInstruction, []reference, error) {
	key := kindKey{p.Type, p.AttachType, p.GPL}
	r := rules{contexts: func(first sys.BPFInstruction) []rule { return c.contextRules(key, g, first) }}
	if calls(have.instructions) {
		r.calls = append(r.calls, c.callRules(key)...)
		for id, fd := range maps.fds {
			r.calls = append(r.calls, mapRules(key, fd, maps.infos[id])...)
		}
	}
	return undo(have.instructions, r)
}

// calls tells whether there is anything but what was there from the beginning:
// some calls become other instructions, so any program with a map may have one.
func calls(x []sys.BPFInstruction) bool {
	for _, one := range x {
		if one.Code == call || one.Code == loadImmediate64 || one.Code&classMask == classALU64 && one.Offset != 0 {
			return true
		}
	}
	return false
}

// probe loads setup, one, and an end, and returns what has become of one. Not
// ok: the kernel refuses it.
func probe(key kindKey, setup []sys.BPFInstruction, one sys.BPFInstruction) (became []sys.BPFInstruction, ok bool) {
	end := []sys.BPFInstruction{{Code: moveImmediate, Immediate: 1}, {Code: exit}}
	program := append(append(append([]sys.BPFInstruction{}, setup...), one), end...)
	x := load(key, program)
	if len(x) < len(setup)+1+len(end) {
		return nil, false
	}
	return x[len(setup) : len(x)-len(end)], true
}

// load loads a program and reads it back; nil if the kernel refuses it.
func load(key kindKey, program []sys.BPFInstruction) []sys.BPFInstruction {
	fd, err := sys.BPFLoad(&sys.BPFProgram{Type: key.kind, AttachType: key.attachType, GPL: key.gpl, Instructions: program})
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var info sys.BPFProgramInfo
	if sys.BPFInfo(fd, &info) != nil {
		return nil
	}
	back, err := readBack(fd, &info)
	if err != nil {
		return nil
	}
	return back.instructions
}

// access is a load from the context, or a store to it, by registers to be
// filled in.
type access struct {
	code   uint8
	offset int16
}

func (a access) store() bool { return a.code&classMask == classSTX }

func (a access) by(context, other uint8) sys.BPFInstruction {
	if a.store() {
		return sys.BPFInstruction{Code: a.code, Registers: context | other<<4, Offset: a.offset}
	}
	return sys.BPFInstruction{Code: a.code, Registers: other | context<<4, Offset: a.offset}
}

// maxContext is above the size of every context (struct __sk_buff has 192 bytes).
const maxContext = 256

// allowed are the accesses that the kernel allows to programs of a kind: loads
// or stores, and loads of parts of fields if they are wanted. Of two that become
// the same, the first is chosen.
func (c *probes) allowed(key accessKey) []access {
	if list, known := c.accesses[key]; known {
		return list
	}
	const word, half, byteSize = 0x00, 0x08, 0x10
	class := uint8(classLDX)
	if key.store {
		class = classSTX
	}
	var list []access
	try := func(size uint8, width, from, to int16) (any bool) {
		for offset := from; offset < to; offset += width {
			a := access{class | modeMemory | size, offset}
			if _, ok := probe(key.kindKey, []sys.BPFInstruction{{Code: move64, Registers: 6 | 1<<4}, number(2, 0)}, a.by(6, 2)); ok {
				list, any = append(list, a), true
			}
		}
		return any
	}
	for offset := int16(0); offset < maxContext; offset += 4 {
		if offset%8 == 0 {
			try(doubleWord, 8, offset, offset+8)
		}
		if try(word, 4, offset, offset+4) && key.guess != whole { // else a part of it is not allowed, either
			try(half, 2, offset, offset+4)
			try(byteSize, 1, offset, offset+4)
		}
	}
	if key.guess == parts {
		slices.SortStableFunc(list, func(a, b access) int { return a.width() - b.width() })
	}
	c.accesses[key] = list
	return list
}

func (a access) width() int {
	return map[uint8]int{0x00: 4, 0x08: 2, 0x10: 1, doubleWord: 8}[a.code&0x18]
}

type accessKey struct {
	kindKey
	store bool
	guess guess
}

type contextKey struct {
	accessKey
	context, other uint8
}

// contextRules are what accesses of the context become that are made by the
// registers of an instruction.
func (c *probes) contextRules(key kindKey, g guess, first sys.BPFInstruction) []rule {
	k := contextKey{accessKey{key, false, g}, source(first), destination(first)}
	if first.Code&classMask != classLDX {
		k = contextKey{accessKey{key, true, whole}, destination(first), source(first)}
	}
	if list, known := c.contexts[k]; known {
		return list
	}
	var wanted []access
	if !k.store || k.context != k.other {
		wanted = c.allowed(k.accessKey)
	}
	list := together(k, wanted)
	if list == nil {
		for _, a := range wanted {
			if became, ok := probe(key, a.setup(k, 1), a.by(k.context, k.other)); ok {
				list = append(list, rule{a.by(k.context, k.other), became})
			}
		}
	}
	c.contexts[k] = list
	return list
}

// setup puts the context, which keep has, into its register, and a number into
// the other one if that is to be stored.
func (a access) setup(k contextKey, keep uint8) []sys.BPFInstruction {
	list := []sys.BPFInstruction{{Code: move64, Registers: k.context | keep<<4}}
	if a.store() {
		list = append(list, sys.BPFInstruction{Code: moveImmediate, Registers: k.other})
	}
	return list
}

// together finds all rules by one program, in which a mark stands before each
// access. Nil: the kernel refuses it.
func together(k contextKey, wanted []access) []rule {
	keep := uint8(6)
	for keep == k.context || keep == k.other {
		keep++
	}
	mark := func(i int) sys.BPFInstruction {
		return sys.BPFInstruction{Code: moveImmediate, Immediate: int32(0x5a5a0000 + i)}
	}
	if k.context == 0 {
		return nil // the mark's own
	}
	program := []sys.BPFInstruction{{Code: move64, Registers: keep | 1<<4}}
	for i, a := range wanted {
		program = append(append(append(program, mark(i)), a.setup(k, keep)...), a.by(k.context, k.other))
	}
	program = append(program, mark(len(wanted)), sys.BPFInstruction{Code: moveImmediate, Immediate: 1}, sys.BPFInstruction{Code: exit})
	x := load(k.kindKey, program)
	var list []rule
	at := 0
	next := func(i int) bool {
		for ; at < len(x); at++ {
			if x[at] == mark(i) {
				at++
				return true
			}
		}
		return false
	}
	if !next(0) {
		return nil
	}
	for i, a := range wanted {
		begin := at + len(a.setup(k, keep))
		if !next(i+1) || begin >= at-1 {
			return nil
		}
		list = append(list, rule{a.by(k.context, k.other), x[begin : at-1]})
	}
	return list
}

// zeroes fills the stack's last bytes.
func zeroes(n int) []sys.BPFInstruction {
	var list []sys.BPFInstruction
	for at := 8; at < n+8; at += 8 {
		list = append(list, sys.BPFInstruction{Code: classST | modeMemory | doubleWord, Registers: framePointer, Offset: int16(-at)})
	}
	return list
}

// number puts a number into a register, stack an address on the stack.
func number(register uint8, n int32) sys.BPFInstruction {
	return sys.BPFInstruction{Code: moveImmediate, Registers: register, Immediate: n}
}

func stack(register uint8, offset int) []sys.BPFInstruction {
	const add = classALU64
	return []sys.BPFInstruction{
		{Code: move64, Registers: register | framePointer<<4},
		{Code: add, Registers: register, Immediate: int32(-offset)},
	}
}

func helper(id int32) sys.BPFInstruction { return sys.BPFInstruction{Code: call, Immediate: id} }

// mapRules are what calls become that are about a map: the verifier has one
// function for each type, or puts its instructions in.
func mapRules(key kindKey, fd int, info *sys.BPFMapInfo) []rule {
	const room = 512 // of the stack
	k, v := int(info.KeySize+7)/8*8, int(info.ValueSize+7)/8*8
	address := []sys.BPFInstruction{{Code: loadImmediate64, Registers: 1 | pseudoMap<<4, Immediate: int32(fd)}, {}}
	var list []rule
	try := func(size int, id int32, more ...sys.BPFInstruction) {
		if size > room {
			return
		}
		setup := append(append(zeroes(size), address...), more...)
		if became, ok := probe(key, setup, helper(id)); ok {
			list = append(list, rule{helper(id), became})
		}
	}
	const lookup, update, remove, lookupPerCPU = 1, 2, 3, 195 // enum bpf_func_id
	try(k, lookup, stack(2, k)...)
	try(k, lookupPerCPU, append(stack(2, k), number(3, 0))...)
	try(k, remove, stack(2, k)...)
	try(k+v, update, append(append(stack(2, k), stack(3, k+v)...), number(4, 0))...)
	return list
}

// callRules are what calls become that need no map (enum bpf_func_id).
func (c *probes) callRules(key kindKey) []rule {
	if list, known := c.calls[key]; known {
		return list
	}
	const size = 32
	context := sys.BPFInstruction{Code: move64, Registers: 6 | 1<<4}
	again := sys.BPFInstruction{Code: move64, Registers: 1 | 6<<4}
	buffer := func(register uint8) []sys.BPFInstruction { return stack(register, size) }
	join := func(lists ...[]sys.BPFInstruction) (all []sys.BPFInstruction) {
		all = append(append(all, context), zeroes(size)...)
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	one := func(list ...sys.BPFInstruction) []sys.BPFInstruction { return list }
	list := []rule{}
	for _, shape := range []struct {
		ids   []int32
		setup []sys.BPFInstruction
	}{
		// Nothing, or the context: prandom, ktime, CPU, pid, uid, classid, cookies,
		// cgroup ids, numa node, jiffies, netns, retval, boot and coarse time.
		{[]int32{5, 7, 8, 14, 15, 17, 34, 42, 46, 47, 79, 80, 95, 96, 98, 118, 122, 125, 151, 158, 160, 186, 208}, join(one(again))},
		{[]int32{26}, join(one(again, number(2, 0)), buffer(3), one(number(4, size)))},                // skb_load_bytes
		{[]int32{68}, join(one(again, number(2, 0)), buffer(3), one(number(4, size), number(5, 0)))},  // skb_load_bytes_relative
		{[]int32{16}, join(buffer(1), one(number(2, size)))},                                          // get_current_comm
		{[]int32{6}, join(buffer(1), one(number(2, size)))},                                           // trace_printk
		{[]int32{123, 187}, join(one(number(1, 0)))},                                                  // get_current_ancestor_cgroup_id, set_retval
		{[]int32{83}, join(one(again, number(2, 0)))},                                                 // skb_ancestor_cgroup_id
		{[]int32{101}, join(one(again), buffer(2), one(number(3, size), number(4, 0)))},               // sysctl_get_name
		{[]int32{64, 102, 103, 104}, join(one(again), buffer(2), one(number(3, size)))},               // bind, sysctl_*_value
		{[]int32{105, 106}, join(buffer(1), one(number(2, 8), number(3, 0)), stack(4, 8))},            // strtol, strtoul
		{[]int32{49, 57}, join(one(again, number(2, 1), number(3, 7)), buffer(4), one(number(5, 4)))}, // setsockopt, getsockopt
		{[]int32{4, 112, 113, 114, 115}, join(buffer(1), one(number(2, 8)), one(number(3, 0)))},       // probe_read, …
	} {
		for _, id := range shape.ids {
			if became, ok := probe(key, shape.setup, helper(id)); ok {
				list = append(list, rule{helper(id), became})
			}
		}
	}
	c.calls[key] = list
	return list
}

// errBlinded is for a program whose instructions the kernel does not give.
var errBlinded = errors.New("the kernel does not give its instructions back (sysctl kernel.kptr_restrict)")

// hidden says what stands in the way, and what helps.
func hidden(err error) (reason, remedy string) {
	reason = "what the kernel gives back of it can't be turned into what was loaded: " + err.Error()
	remedy = "end what needs it (systemd: IPAddressAllow=, IPAddressDeny=, IPAccounting=, DevicePolicy= of a unit), before the checkpoint"
	setting := func(name string) string {
		b, _ := os.ReadFile("/proc/sys/" + name)
		return strings.TrimSpace(string(b))
	}
	switch {
	case setting("kernel/kptr_restrict") == "2":
		remedy = "set sysctl kernel.kptr_restrict to 1: at 2 the kernel hides which functions a program calls"
	case setting("net/core/bpf_jit_harden") == "2":
		remedy = "set sysctl net.core.bpf_jit_harden to 1 (at 2 the kernel hides a program's constants), and start the container anew"
	}
	return reason, remedy
}
