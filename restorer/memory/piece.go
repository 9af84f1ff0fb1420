package memory

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// Piece is a part of an address space that is mapped before its time, so that
// processes that are forked from it inherit the pages in it: from Start to End,
// as a mapping of the image has it there.
type Piece struct {
	Vma        *format.Vma
	Start, End uint64
}

// mapped is the mapping that has just this piece.
func (p Piece) mapped() *format.Vma {
	v := proto.CloneOf(p.Vma)
	v.Start, v.End, v.Offset = p.Start, p.End, p.Vma.Offset+(p.Start-p.Vma.Start)
	return v
}

// Prepare has the inherited pages' owner be poured into a process: it unmaps
// and maps pieces, and drops whatever pages the process has in their places.
func (b *Backing) Prepare(p place.Process, i *format.Inherited, page uint64, unmap, add []Piece) error {
	b.leader[i.Id] = p.PID()
	c := calls{backing: b}
	for _, u := range unmap {
		c.add(fmt.Sprintf("unmap %#x-%#x", u.Start, u.End), unix.SYS_MUNMAP, u.Start, u.End-u.Start)
	}
	for _, a := range add {
		c.mapPiece(a)
		if slices.Contains(a.Vma.Advice, unix.MADV_NOHUGEPAGE) {
			c.add("forbid transparent huge pages", unix.SYS_MADVISE, a.Start, a.End-a.Start, unix.MADV_NOHUGEPAGE)
		}
	}
	for start, end := range format.EachRun(i.Runs, page) {
		c.drop(start, end)
	}
	return c.run(p)
}

// fit turns what a process has inherited into what the image says that it has:
// it keeps pages that are inherited and drops all else. It returns the mappings
// that are then there.
func (b *Backing) fit(p place.Process, mm *format.Mm, have []Piece, page uint64) (map[*format.Vma]bool, error) {
	c := calls{backing: b}
	made := map[*format.Vma]bool{}
	keep := Keep(mm, have, page)
	at := 0
	for _, h := range have {
		from := h.Start
		for ; at < len(keep) && keep[at].Start < h.End; at++ {
			c.unmap(from, keep[at].Start)
			from = keep[at].End
		}
		c.unmap(from, h.End)
	}
	for len(keep) > 0 {
		v := keep[0].Vma
		n := 1
		for n < len(keep) && keep[n].Vma == v {
			n++
		}
		made[v] = true
		from := v.Start
		for _, k := range keep[:n] {
			c.gap(v, from, k.Start)
			c.add(fmt.Sprintf("protect %#x-%#x", k.Start, k.End), unix.SYS_MPROTECT, k.Start, k.End-k.Start, firstProtection(v))
			from = k.End
		}
		c.gap(v, from, v.End)
		keep = keep[n:]
	}
	for _, d := range surplus(Keep(mm, have, page), mm, page) {
		c.drop(d.Start, d.End)
	}
	return made, c.run(p)
}

// Keep are the parts of what an address space has inherited that it keeps: by
// address, each part of one mapping.
func Keep(mm *format.Mm, have []Piece, page uint64) []Piece {
	var keep []Piece
	heirs := Heirs(mm, page)
	for _, h := range have {
		first, _ := slices.BinarySearchFunc(mm.Vmas, h.Start, func(v *format.Vma, at uint64) int {
			if v.End <= at {
				return -1
			}
			return 1
		})
		for _, v := range mm.Vmas[first:] {
			if v.Start >= h.End {
				break
			}
			if heirs[v] != nil && v.SameBacking(h.Vma) {
				keep = append(keep, Piece{v, max(v.Start, h.Start), min(v.End, h.End)})
			}
		}
	}
	return keep
}

// Heirs are the mappings that have inherited pages, each with the part from the
// first to the last of those.
func Heirs(mm *format.Mm, page uint64) map[*format.Vma]*Piece {
	all := map[*format.Vma]*Piece{}
	for _, h := range mm.Inherits {
		EachHeir(mm, h, page, all)
	}
	return all
}

// EachHeir adds the mappings that have pages of one Inherited.
func EachHeir(mm *format.Mm, h *format.Inheritance, page uint64, all map[*format.Vma]*Piece) {
	vmas := mm.Vmas
	for a, b := range format.EachRun(h.Runs, page) {
		for a < b && len(vmas) > 0 {
			v := vmas[0]
			if v.End <= a {
				vmas = vmas[1:]
				continue
			}
			from, to := max(a, v.Start), min(b, v.End)
			if from >= to {
				break
			}
			if p := all[v]; p != nil {
				p.Start, p.End = min(p.Start, from), max(p.End, to)
			} else {
				all[v] = &Piece{v, from, to}
			}
			a = to
		}
	}
}

// surplus are the parts of pieces that have no inherited pages of the address
// space.
func surplus(keep []Piece, mm *format.Mm, page uint64) []Piece {
	var wanted []Piece
	for _, h := range mm.Inherits {
		for a, b := range format.EachRun(h.Runs, page) {
			wanted = append(wanted, Piece{nil, a, b})
		}
	}
	slices.SortFunc(wanted, byStart)
	var all []Piece
	for _, k := range keep {
		for len(wanted) > 0 && wanted[0].End <= k.Start {
			wanted = wanted[1:]
		}
		at := k.Start
		for _, w := range wanted {
			if w.Start >= k.End {
				break
			}
			if w.Start > at {
				all = append(all, Piece{k.Vma, at, w.Start})
			}
			at = max(at, w.End)
		}
		if at < k.End {
			all = append(all, Piece{k.Vma, at, k.End})
		}
	}
	return all
}

func byStart(a, b Piece) int { return cmp.Compare(a.Start, b.Start) }

// calls are those of one stop, each with what it is for.
type calls struct {
	backing *Backing
	list    []tracee.Call
	about   []string
	vmas    map[int]*format.Vma // of those that map
}

func (c *calls) add(what string, nr uint64, args ...uint64) {
	call := tracee.Call{Nr: nr}
	copy(call.Args[:], args)
	c.list = append(c.list, call)
	c.about = append(c.about, what)
}

func (c *calls) unmap(from, to uint64) {
	if from < to {
		c.add(fmt.Sprintf("unmap %#x-%#x", from, to), unix.SYS_MUNMAP, from, to-from)
	}
}

// drop gives pages back: then there is a page of zeros, or the file's.
func (c *calls) drop(from, to uint64) {
	c.add("drop pages", unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
}

func (c *calls) gap(v *format.Vma, from, to uint64) {
	if from < to {
		c.mapPiece(Piece{v, from, to})
	}
}

func (c *calls) mapPiece(p Piece) {
	v := p.mapped()
	call, ok := c.backing.mapping(v)
	if !ok {
		return
	}
	if c.vmas == nil {
		c.vmas = map[int]*format.Vma{}
	}
	c.vmas[len(c.list)] = v
	c.list = append(c.list, call)
	c.about = append(c.about, "")
}

func (c *calls) run(p place.Process) error {
	if err := p.Run(c.list); err != nil {
		return err
	}
	for i := range c.list {
		err := c.list[i].Err()
		if err == nil {
			continue
		}
		if v := c.vmas[i]; v != nil {
			return mapError(v, err)
		}
		return fmt.Errorf("%s: %w", c.about[i], err)
	}
	return nil
}
