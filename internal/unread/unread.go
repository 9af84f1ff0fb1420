// Package unread finds out, by reading a program's code, whether it will never look
// at what a register holds behind a system call. A compiler may count on the
// registers in which it has passed a call's arguments: the kernel leaves them alone.
// So who wants to change one has to know that nobody reads it.
//
// It follows the code of AMD64 from behind the call, both sides of each branch and
// into functions, until each path has written the register anew. What it does not
// understand counts as a look at it.
package unread

import (
	"encoding/binary"
	"io"
)

// Register is one of the general registers, by its number in instructions.
type Register uint8

// The registers in which system calls have their third to fifth argument.
const (
	RDX Register = 2
	R10 Register = 10
	R8  Register = 8
)

// Bounds of a look: instructions, and how deep functions are followed.
const (
	maxInstructions = 400
	maxDepth        = 4
)

// After says that the code at pc, with that stack pointer, will not read a register
// before it has written it. mem is the program's memory, by its addresses.
func After(mem io.ReaderAt, pc, sp uint64, r Register) bool {
	w := walk{mem: mem, register: r, from: pc, sp: sp, left: maxInstructions, seen: map[point]bool{}}
	return w.unread(point{pc: pc, known: true})
}

// point is a place that the code can come to.
type point struct {
	pc uint64
	// depth is how many functions it has entered since, and returns where it goes on
	// behind them.
	depth   int
	returns [maxDepth]uint64
	// sp is how far the stack pointer is above that of the beginning, if it is known;
	// in a function that was entered it does not matter.
	sp    int64
	known bool
}

// walk is a look under way.
type walk struct {
	mem      io.ReaderAt
	register Register
	from, sp uint64
	left     int
	seen     map[point]bool
	page     [512]byte
	pageAt   uint64
	pageSize int
}

// unread follows every path from a point.
func (w *walk) unread(from point) bool {
	todo := []point{from}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if w.seen[p] {
			continue
		}
		w.seen[p] = true
		if w.left--; w.left < 0 {
			return false
		}
		i, ok := decode(w.code(p.pc), w.register)
		if !ok || i.reads {
			return false
		}
		if i.writes {
			continue
		}
		next, ok := w.next(p, i)
		if !ok {
			return false
		}
		todo = append(todo, next...)
	}
	return true
}

// next are the points that may come after an instruction which does not touch the
// register. ok is false if somebody may read it there.
func (w *walk) next(p point, i instruction) (next []point, ok bool) {
	at := p.pc + uint64(i.size)
	switch i.flow {
	case flowBranch:
		other := p
		other.pc = at + uint64(i.target)
		next = append(next, other)
	case flowJump:
		at += uint64(i.target)
	case flowCall:
		if p.depth == maxDepth {
			return nil, false
		}
		p.returns[p.depth] = at
		p.depth++
		at += uint64(i.target)
	case flowCallIndirect:
		// A function that the compiler does not know: it may use R10 as it likes
		// (System V ABI, AMD64, 3.2.3), and the others are its arguments.
		return nil, w.register == R10
	case flowJumpIndirect:
		// The same, if it is how a function of another library is called.
		return nil, w.register == R10 && p.depth > 0
	case flowReturn:
		if p.depth == 0 {
			return w.returned(p)
		}
		p.depth--
		at, p.returns[p.depth] = p.returns[p.depth], 0
	}
	if p.depth == 0 {
		p.sp += i.sp
		p.known = p.known && !i.spLost
	}
	p.pc = at
	return append(next, p), true
}

// returned are the points after the function which has made the system call has
// returned. A compiler that knows a function's code may count on the registers that
// this does not write, even if the ABI gives them to it (-fipa-ra of gcc).
//
// RDX can also be the second half of a result. But no function gives back there an
// argument of its own; those that hand on both registers of a system call (Go's) move
// it to where their language has it, which is a look at it.
func (w *walk) returned(p point) (next []point, ok bool) {
	if w.register == R10 {
		return nil, true // in which no function has an argument: it has written it itself
	}
	if !p.known {
		return nil, false
	}
	var b [8]byte
	if _, err := w.mem.ReadAt(b[:], int64(w.sp+uint64(p.sp))); err != nil {
		return nil, false
	}
	p.pc = binary.LittleEndian.Uint64(b[:])
	p.sp += 8
	if w.leavesIt(p.pc) {
		return nil, true
	}
	return []point{p}, true
}

// leavesIt says whether the function that returns to pc is one whose caller can't
// count on the register: one of another library, or one that writes it itself.
func (w *walk) leavesIt(pc uint64) bool {
	call := w.bytes(pc-7, 7)
	if len(call) < 7 {
		return false
	}
	if call[2] == 0xe8 { // call, by a distance
		return w.clobbers(pc + uint64(int64(int32(binary.LittleEndian.Uint32(call[3:])))))
	}
	return call[1] == 0xff && call[2] == 0x15 || // call [rip+distance]
		call[5] == 0xff && call[6]&^7 == 0xd0 // call register
}

// clobbers says whether a function writes the register on a way to the system call,
// or lies in another library.
func (w *walk) clobbers(function uint64) bool {
	todo, seen, writes, reaches := []uint64{function}, map[uint64]bool{}, false, false
	for len(todo) > 0 && len(seen) < maxInstructions {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[pc] {
			continue
		}
		if pc == w.from {
			reaches = true
			continue
		}
		seen[pc] = true
		i, ok := decode(w.code(pc), w.register)
		if !ok {
			continue
		}
		writes = writes || i.writes
		at := pc + uint64(i.size)
		switch i.flow {
		case flowJumpIndirect:
			if len(seen) <= 2 { // endbr64 may come first
				return true // by the procedure linkage table
			}
		case flowReturn:
		case flowBranch:
			todo = append(todo, at, at+uint64(i.target))
		case flowJump:
			todo = append(todo, at+uint64(i.target))
		default:
			todo = append(todo, at)
		}
	}
	return writes && reaches
}

// code is what lies at an address; fewer bytes than the longest instruction has, if
// there are no more.
func (w *walk) code(pc uint64) []byte { return w.bytes(pc, maxInstruction) }

func (w *walk) bytes(at uint64, n int) []byte {
	if off := at - w.pageAt; w.pageSize > n && off <= uint64(w.pageSize-n) {
		return w.page[off : off+uint64(n)]
	}
	size, _ := w.mem.ReadAt(w.page[:], int64(at)) // what lies behind may be missing
	w.pageAt, w.pageSize = at, max(size, 0)
	return w.page[:min(n, w.pageSize)]
}
