package unread

import "encoding/binary"

// instruction is what one does to the register, and where it leads.
type instruction struct {
	size int
	// reads: it may read the register, or write a part of it. writes: it writes all of
	// it, and does not read it.
	reads, writes bool
	flow          flow
	target        int64 // of a jump or call, from the next instruction
	// sp is how far it moves the stack pointer up; spLost: nobody knows.
	sp     int64
	spLost bool
}

type flow int

const (
	flowNext flow = iota
	flowBranch
	flowJump
	flowJumpIndirect
	flowCall
	flowCallIndirect
	flowReturn
)

// maxInstruction is how long one can be, in bytes.
const maxInstruction = 15

// decoder takes an instruction apart (Intel SDM, volume 2, chapter 2 and appendix A).
type decoder struct {
	instruction
	code     []byte
	at       int
	short    bool // it has a part that is missing
	register int
	rex      byte // 0: none
	narrow   bool // 16 bits: prefix 66
	repeat   byte // prefix F2 or F3
	// The operands in the byte after the opcode.
	mod, reg, rm int
}

// decode knows what compilers write between a system call and the end of its
// function; ok is false for anything else.
func decode(code []byte, r Register) (i instruction, ok bool) {
	d := decoder{code: code, register: int(r)}
	op, ok := d.prefixes()
	if !ok {
		return i, false
	}
	if op == 0x0f {
		ok = d.two(d.byte())
	} else {
		ok = d.one(op)
	}
	d.size = d.at
	if d.reads {
		d.writes = false
	}
	return d.instruction, ok && !d.short && d.at <= maxInstruction
}

// prefixes takes those before the opcode, which it returns.
func (d *decoder) prefixes() (op byte, ok bool) {
	for range maxInstruction {
		switch op = d.byte(); {
		case op == 0x66:
			d.narrow = true
		case op == 0xf2 || op == 0xf3:
			d.repeat = op
		case op == 0xf0, op == 0x2e, op == 0x36, op == 0x3e, op == 0x26, op == 0x64, op == 0x65:
		case op&0xf0 == 0x40: // REX is the last one
			d.rex = op
			op = d.byte()
			return op, !d.short && op&0xf0 != 0x40
		default:
			return op, !d.short
		}
	}
	return 0, false
}

func (d *decoder) byte() byte {
	if d.at >= len(d.code) {
		d.short = true
		return 0
	}
	d.at++
	return d.code[d.at-1]
}

// number takes a signed one.
func (d *decoder) number(size int) int64 {
	if d.at+size > len(d.code) {
		d.short = true
		return 0
	}
	b := d.code[d.at:]
	d.at += size
	switch size {
	case 0:
		return 0
	case 1:
		return int64(int8(b[0]))
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

// immediate is an operand of the usual size: 64 bits have one of 32.
func (d *decoder) immediate() int64 {
	if d.narrow && !d.wide() {
		return d.number(2)
	}
	return d.number(4)
}

func (d *decoder) wide() bool { return d.rex&8 != 0 }

// width is that of an operand in bytes.
func (d *decoder) width(bytes bool) int {
	switch {
	case bytes:
		return 1
	case d.wide():
		return 8
	case d.narrow:
		return 2
	}
	return 4
}

const stackPointer = 4

// use says that a general register is read.
func (d *decoder) use(n, width int) {
	d.reads = d.reads || d.whole(n, width) == d.register
}

// set says that one is written. A write of 32 bits clears the others; one of fewer
// leaves them.
func (d *decoder) set(n, width int) {
	n = d.whole(n, width)
	if n == stackPointer {
		d.spLost = true
	}
	if n != d.register {
		return
	}
	if width >= 4 {
		d.writes = true
	} else {
		d.reads = true
	}
}

// whole is the register of which n is a part: 4 to 7 may be the second bytes of the
// first four.
func (d *decoder) whole(n, width int) int {
	if width == 1 && d.rex == 0 && n >= 4 && n < 8 {
		return n - 4
	}
	return n
}

// operands takes the byte that names two of them, and what an address needs.
func (d *decoder) operands() {
	b := d.byte()
	d.mod, d.reg, d.rm = int(b>>6), int(b>>3&7)|int(d.rex&4)<<1, int(b&7)
	if d.mod == 3 {
		d.rm |= int(d.rex&1) << 3
		return
	}
	base, size := d.rm, [3]int{0, 1, 4}[d.mod]
	if d.rm == 4 { // with an index
		s := d.byte()
		base = int(s & 7)
		if index := int(s>>3&7) | int(d.rex&2)<<2; index != stackPointer {
			d.use(index, 8)
		}
	}
	if d.mod == 0 && base == 5 { // none, or rip
		d.number(4)
		return
	}
	d.use(base|int(d.rex&1)<<3, 8)
	d.number(size)
}

// useOperand and setOperand are for the one that may be in memory.
func (d *decoder) useOperand(width int) {
	if d.mod == 3 {
		d.use(d.rm, width)
	}
}

func (d *decoder) setOperand(width int) {
	if d.mod == 3 {
		d.set(d.rm, width)
	}
}

// jump takes its distance.
func (d *decoder) jump(f flow, size int) bool {
	if d.narrow {
		return false
	}
	d.flow, d.target = f, d.number(size)
	return true
}

// one is for opcodes of one byte.
func (d *decoder) one(op byte) bool {
	w := d.width(op&1 == 0)
	low := int(op&7) | int(d.rex&1)<<3
	switch {
	case op < 0x40 && op&7 < 6:
		d.arithmetic(int(op>>3), int(op&7))
	case op&0xf8 == 0x50: // push
		d.use(low, 8)
		return d.pushed()
	case op&0xf8 == 0x58: // pop
		d.sp = 8
		d.set(low, 8)
		return !d.narrow
	case op == 0x68, op == 0x6a: // push a number
		d.numberOf(op == 0x6a)
		return d.pushed()
	case op&0xf0 == 0x70:
		return d.jump(flowBranch, 1)
	case op == 0x80, op == 0x81, op == 0x83:
		d.arithmeticNumber(op)
	case op&0xf8 == 0x90 && low != 0: // xchg with rax; else nop
		d.use(low, 8)
		d.set(low, 8)
	case op == 0x99: // cqo
		d.set(int(RDX), d.width(false))
	case op&0xf8 == 0xb0: // mov of a number
		d.set(low, 1)
		d.number(1)
	case op&0xf8 == 0xb8:
		d.set(low, d.width(false))
		if d.wide() {
			d.number(8)
		} else {
			d.immediate()
		}
	case op == 0xc3:
		d.flow = flowReturn
	case op == 0xc9: // leave
		d.spLost = true
	case op == 0xe8:
		return d.jump(flowCall, 4)
	case op == 0xe9:
		return d.jump(flowJump, 4)
	case op == 0xeb:
		return d.jump(flowJump, 1)
	case op&0xfe == 0xf6:
		d.multiplication(op, w)
	case op&0xfe == 0xfe:
		return d.groupFF(op, w)
	default:
		return d.plain(oneByte[op], w) && (op&0xfe != 0xc6 || d.reg&7 == 0)
	}
	return true
}

// What plain instructions do with their operands: that which may be in memory (E), and
// the other one (G).
const (
	known = 1 << iota // it is an instruction
	named             // a byte names its operands
	readE
	readG
	writeE
	writeG
	byByte  // an even opcode is for bytes
	another // a number follows: a byte
	usual   // one of the usual size
)

var oneByte = [256]uint16{
	0x63: named | readE | writeG,                                                 // movsxd
	0x69: named | readE | writeG | usual, 0x6b: named | readE | writeG | another, // imul
	0x84: named | readE | readG | byByte, 0x85: named | readE | readG, // test
	0x86: named | readE | readG | writeE | writeG | byByte, 0x87: named | readE | readG | writeE | writeG, // xchg
	0x88: named | readG | writeE | byByte, 0x89: named | readG | writeE, // mov
	0x8a: named | readE | writeG | byByte, 0x8b: named | readE | writeG,
	0x8d: named | writeG,                               // lea
	0x98: known,                                        // cdqe
	0x90: known,                                        // nop, pause
	0xa4: known, 0xa5: known, 0xa6: known, 0xa7: known, // of strings
	0xa8: another, 0xa9: usual, // test
	0xaa: known, 0xab: known, 0xac: known, 0xad: known, 0xae: known, 0xaf: known,
	0xc0: named | readE | writeE | byByte | another, 0xc1: named | readE | writeE | another, // shifts
	0xc6: named | writeE | byByte | another, 0xc7: named | writeE | usual, // mov
	0xd0: named | readE | writeE | byByte, 0xd1: named | readE | writeE,
	0xd2: named | readE | writeE | byByte, 0xd3: named | readE | writeE,
}

// plain does what the tables say.
func (d *decoder) plain(what uint16, w int) bool {
	if what&byByte == 0 {
		w = d.width(false)
	}
	if what&named != 0 {
		d.operands()
	}
	for _, o := range []struct {
		n           int
		here        bool
		read, write uint16
	}{{d.rm, d.mod == 3, readE, writeE}, {d.reg, true, readG, writeG}} {
		if o.here && what&o.read != 0 {
			d.use(o.n, w)
		}
		if o.here && what&o.write != 0 {
			d.set(o.n, w)
		}
	}
	if what&(another|usual) != 0 {
		d.numberOf(what&another != 0)
	}
	return what != 0
}

// numberOf takes one of a byte or of the usual size.
func (d *decoder) numberOf(bytes bool) {
	if bytes {
		d.number(1)
	} else {
		d.immediate()
	}
}

func (d *decoder) pushed() bool {
	d.sp = -8
	return !d.narrow
}

const (
	subtract  = 5
	exclusive = 6 // xor
	compare   = 7
)

// arithmetic is add, or, adc, sbb, and, sub, xor, cmp.
func (d *decoder) arithmetic(what, form int) {
	w := d.width(form&1 == 0)
	if form >= 4 { // rax and a number
		d.numberOf(form == 4)
		return
	}
	d.operands()
	if (what == subtract || what == exclusive) && d.mod == 3 && d.reg == d.rm && w >= 4 {
		d.set(d.reg, w) // to zero
		return
	}
	d.use(d.reg, w)
	d.useOperand(w)
	switch {
	case what == compare:
	case form < 2:
		d.setOperand(w)
	default:
		d.set(d.reg, w)
	}
}

// arithmeticNumber is the same with a number.
func (d *decoder) arithmeticNumber(op byte) {
	w := d.width(op == 0x80)
	d.operands()
	var n int64
	if op == 0x81 {
		n = d.immediate()
	} else {
		n = d.number(1)
	}
	d.useOperand(w)
	what := d.reg & 7
	if what == compare {
		return
	}
	d.setOperand(w)
	if d.mod == 3 && d.rm == stackPointer && w == 8 && (what == 0 || what == subtract) {
		d.spLost = false
		if d.sp = n; what == subtract {
			d.sp = -n
		}
	}
}

// multiplication is test, not, neg, mul, div.
func (d *decoder) multiplication(op byte, w int) {
	d.operands()
	d.useOperand(w)
	switch d.reg & 7 {
	case 0, 1: // test
		d.numberOf(op == 0xf6)
	case 2, 3: // not, neg
		d.setOperand(w)
	case 4, 5: // mul: the upper half goes to rdx, but for bytes
		if w > 1 {
			d.set(int(RDX), w)
		}
	default: // div
		d.use(int(RDX), 8)
	}
}

// groupFF is inc, dec, call, jmp, push.
func (d *decoder) groupFF(op byte, w int) bool {
	d.operands()
	what := d.reg & 7
	if what < 2 {
		d.useOperand(w)
		d.setOperand(w)
		return true
	}
	d.useOperand(8)
	switch {
	case op == 0xfe:
		return false
	case what == 2:
		d.flow = flowCallIndirect
	case what == 4:
		d.flow = flowJumpIndirect
	case what == 6:
		return d.pushed()
	default:
		return false
	}
	return true
}

// two is for opcodes after 0F.
func (d *decoder) two(op byte) bool {
	w := d.width(op&1 == 0)
	switch {
	case op == 0x05: // syscall: it may be an argument of that
		d.reads = true
	case op&0xf8 == 0x10, op > 0x50 && op < 0x6e, op >= 0xd8 && op < 0xe0:
		d.operands() // of xmm registers
	case op == 0x7e: // movd, movq
		d.operands()
		if d.repeat == 0 {
			d.setOperand(max(d.width(false), 4))
		}
	case op == 0x1e && d.repeat != 0: // endbr64, rdssp
		d.operands()
		return d.reg&7 == 7
	case op == 0x31, op == 0xa2: // rdtsc, cpuid
		d.set(int(RDX), 4)
	case op&0xf0 == 0x40: // cmov
		return d.plain(named|readE|readG|writeG, w)
	case op&0xf0 == 0x80:
		return d.jump(flowBranch, 4)
	case op&0xf0 == 0x90: // setcc
		d.operands()
		d.setOperand(1)
	case op&0xf6 == 0xb6: // movzx, movsx
		d.operands()
		d.useOperand(1 + int(op&1))
		d.set(d.reg, d.width(false))
	case op == 0xae: // fences, mxcsr
		d.operands()
		return d.mod == 3 && d.repeat == 0 && d.reg&7 >= 5 || d.mod != 3 && (d.reg&7 == 2 || d.reg&7 == 3)
	default:
		return d.plain(twoBytes[op], w)
	}
	return true
}

var twoBytes = [256]uint16{
	0x0d: named, 0x18: named, 0x19: named, 0x1a: named, 0x1b: named, 0x1c: named, 0x1d: named, 0x1e: named, 0x1f: named, // prefetch, nop
	// Of xmm registers.
	0x28: named, 0x29: named, 0x2e: named, 0x2f: named, 0x6f: named, 0x70: named | another, 0x74: named, 0x75: named, 0x76: named,
	0x7f: named, 0xc6: named | another, 0xd4: named, 0xd6: named, 0xeb: named, 0xef: named, 0xfe: named,
	0x6e: named | readE,                                                                                                // movd, movq
	0xa3: named | readE | readG, 0xab: named | readE | readG, 0xb3: named | readE | readG, 0xbb: named | readE | readG, // bt and the like
	0xba: named | readE | another,
	0xaf: named | readE | readG | writeG,                                                                                                   // imul
	0xa4: named | readE | readG | another, 0xa5: named | readE | readG, 0xac: named | readE | readG | another, 0xad: named | readE | readG, // shld, shrd
	0xb0: named | readE | readG | byByte, 0xb1: named | readE | readG, // cmpxchg
	0xc0: named | readE | readG | byByte, 0xc1: named | readE | readG, // xadd
}
