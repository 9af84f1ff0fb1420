package programs

import (
	"errors"
	"fmt"
	"slices"

	"lxc-checkpoint/internal/sys"
)

// Codes of instructions (include/uapi/linux/bpf_common.h, bpf.h).
const (
	classMask  = 0x07
	classLD    = 0x00
	classLDX   = 0x01
	classST    = 0x02
	classSTX   = 0x03
	classALU   = 0x04
	classJMP   = 0x05
	classJMP32 = 0x06
	classALU64 = 0x07

	loadImmediate64 = 0x18 // takes two places
	move64          = 0xbf // from a register
	moveImmediate   = 0xb7
	call            = 0x85
	exit            = 0x95
	jumpMask        = 0xf0 // of the classes JMP and JMP32
	jumpAlways      = 0x00
	modeMask        = 0xe0 // of the classes that load and store
	modeMemory      = 0x60
	modeAtomic      = 0xc0
	doubleWord      = 0x18 // size

	pseudoMap      = 1 // source of a loadImmediate64: a map, or
	pseudoMapValue = 2 // what is inside one
	framePointer   = 10
)

func destination(i sys.BPFInstruction) uint8 { return i.Registers & 15 }
func source(i sys.BPFInstruction) uint8      { return i.Registers >> 4 }

// xlated is a program as the kernel gives it back.
type xlated struct {
	instructions []sys.BPFInstruction // maps are their numbers
	maps         []uint32
}

// rule says what the verifier has made of an instruction.
type rule struct {
	original sys.BPFInstruction
	became   []sys.BPFInstruction
}

// reference is where a program loads the address of a map.
type reference struct {
	at int
	id uint32 // kernel's number of the map
}

// rules are those that a program may need. Accesses of the context are the
// ones by one register to another.
type rules struct {
	calls    []rule
	contexts func(first sys.BPFInstruction) []rule
}

// What can't be undone.
var (
	errCall    = errors.New("it calls a function of the kernel that this version does not know")
	errContext = errors.New("it reads or writes its context in a way that this version does not know")
	errJump    = errors.New("it jumps into the middle of what the verifier has put in")
)

// undo works out what was loaded. Where two originals become the same, it may
// choose the wrong one: the tag tells.
func undo(x []sys.BPFInstruction, r rules) ([]sys.BPFInstruction, []reference, error) {
	contexts, err := contextRegisters(x)
	if err != nil {
		return nil, nil, err
	}
	var out []sys.BPFInstruction
	var refs []reference
	place := make([]int, len(x)+1) // in out, of each of x; -1: inside of something
	from := make([]int, 0, len(x)) // in x, of each of out; -1: made by a rule
	for i := 0; i < len(x); {
		place[i] = len(out)
		width := 1
		one := x[i]
		match, err := find(x[i:], contexts[i], r)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("instruction %d: %w", i, err)
		case match != nil:
			width = len(match.became)
			out, from = append(out, match.original), append(from, -1)
		case one.Code == loadImmediate64:
			if width = 2; i+1 >= len(x) {
				return nil, nil, errors.New("it ends in the middle of an instruction")
			}
			if s := source(one); s == pseudoMap || s == pseudoMapValue {
				refs = append(refs, reference{len(out), uint32(one.Immediate)})
				one.Immediate = 0
			} else if s != 0 {
				return nil, nil, fmt.Errorf("instruction %d refers to something of the kernel", i)
			}
			out, from = append(out, one, x[i+1]), append(from, -1, -1)
		default:
			out, from = append(out, one), append(from, i)
		}
		for k := 1; k < width; k++ {
			place[i+k] = -1
		}
		i += width
	}
	place[len(x)] = len(out)
	for k, i := range from {
		if i < 0 {
			continue
		}
		to, jumps := target(x, i)
		if !jumps {
			continue
		}
		if to < 0 || to >= len(x) || place[to] < 0 {
			return nil, nil, fmt.Errorf("instruction %d: %w", i, errJump)
		}
		setTarget(&out[k], place[to]-k-1)
	}
	return out, refs, nil
}

// find finds the rule that has made what x begins with: the longest, since a
// short one can be the beginning of another.
func find(x []sys.BPFInstruction, contexts uint16, r rules) (best *rule, err error) {
	longest := func(list []rule) {
		for i := range list {
			n := len(list[i].became)
			if n <= len(x) && slices.Equal(x[:n], list[i].became) && (best == nil || n > len(best.became)) {
				best = &list[i]
			}
		}
	}
	longest(r.calls)
	through := -1
	switch x[0].Code & classMask {
	case classLDX:
		through = int(source(x[0]))
	case classSTX, classST:
		through = int(destination(x[0]))
	}
	inContext := through >= 0 && contexts&(1<<through) != 0
	if inContext {
		longest(r.contexts(x[0]))
	}
	switch {
	case best != nil:
	case inContext:
		err = errContext
	case x[0].Code == call && source(x[0]) != 0:
		err = errors.New("it consists of several functions, or calls one of a module")
	case x[0].Code == call:
		err = errCall
	}
	return best, err
}

// target is where an instruction jumps to.
func target(x []sys.BPFInstruction, i int) (to int, jumps bool) {
	one := x[i]
	class := one.Code & classMask
	switch {
	case class != classJMP && class != classJMP32, one.Code == call, one.Code == exit:
		return 0, false
	case class == classJMP32 && one.Code&jumpMask == jumpAlways:
		return i + 1 + int(one.Immediate), true
	}
	return i + 1 + int(one.Offset), true
}

func setTarget(one *sys.BPFInstruction, distance int) {
	if one.Code&classMask == classJMP32 && one.Code&jumpMask == jumpAlways {
		one.Immediate = int32(distance)
		return
	}
	one.Offset = int16(distance)
}

// registers are those that hold the program's context before an instruction, as
// bits, and the eight-byte slots of the stack that do.
type registers struct {
	seen  bool
	set   uint16
	slots uint64
}

// contextRegisters follows the context, which a program gets in register 1,
// through all ways that the program can take: a register has it if it has it on
// every way.
func contextRegisters(x []sys.BPFInstruction) ([]uint16, error) {
	state := make([]registers, len(x))
	if len(x) == 0 {
		return nil, errors.New("it has no instructions")
	}
	state[0] = registers{seen: true, set: 1 << 1}
	work := []int{0}
	join := func(i int, s registers) {
		if i < 0 || i >= len(x) {
			return // what follows a program's end is never run
		}
		old := state[i]
		if old.seen {
			s.set, s.slots = s.set&old.set, s.slots&old.slots
		}
		if s != old {
			state[i] = s
			work = append(work, i)
		}
	}
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		after := state[i].step(x[i])
		next := i + 1
		if x[i].Code == loadImmediate64 {
			next = i + 2
		}
		to, jumps := target(x, i)
		if jumps {
			join(to, after)
		}
		always := jumps && x[i].Code&jumpMask == jumpAlways
		if !always && x[i].Code != exit {
			join(next, after)
		}
	}
	sets := make([]uint16, len(x))
	for i := range state {
		sets[i] = state[i].set
	}
	return sets, nil
}

// step is what an instruction changes.
func (s registers) step(one sys.BPFInstruction) registers {
	const scratched = 1<<6 - 1 // registers 0 to 5, which a call changes
	to, by := destination(one), source(one)
	set := func(has bool) {
		s.set &^= 1 << to
		if has {
			s.set |= 1 << to
		}
	}
	has := func(register uint8) bool { return s.set&(1<<register) != 0 }
	slot := func(offset int16) uint64 {
		if offset >= 0 || offset < -512 {
			return 0
		}
		return 1 << uint((-offset-1)/8)
	}
	switch class := one.Code & classMask; class {
	case classALU, classALU64:
		set(one.Code == move64 && one.Offset == 0 && has(by))
	case classLD:
		if one.Code != loadImmediate64 {
			s.set &^= scratched
			break
		}
		set(false)
	case classLDX:
		set(by == framePointer && one.Code == classLDX|modeMemory|doubleWord && s.slots&slot(one.Offset) != 0)
	case classST, classSTX:
		if one.Code&modeMask == modeAtomic {
			s.set &^= 1<<by | 1 // it may give back what was there
			break
		}
		if to != framePointer {
			break
		}
		s.slots &^= slot(one.Offset)
		if one.Code == classSTX|modeMemory|doubleWord && has(by) {
			s.slots |= slot(one.Offset)
		}
	case classJMP, classJMP32:
		if one.Code == call {
			s.set &^= scratched
		}
	}
	return s
}
