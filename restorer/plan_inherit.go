package restorer

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/memory"
)

// Pour gives a process pages before it forks, so that whom it forks from then
// on inherits them.
type Pour struct {
	Step       int    // it comes before Steps[Step]
	By         uint32 // the process
	Pages      *format.Inherited
	Unmap, Map []memory.Piece // to be changed in it before, by address
}

// Forks are the forks of a restart, in their order.
func Forks(s *format.Skeleton) ([]format.Fork, error) {
	p, err := NewPlan(s)
	if err != nil {
		return nil, err
	}
	var forks []format.Fork
	for _, step := range p.Steps {
		if step.Kind == Fork {
			forks = append(forks, format.Fork{PID: step.PID, By: step.By, SharesMemory: step.Share&unix.CLONE_VM != 0})
		}
	}
	return forks, nil
}

// space is an address space as the plan sees it grow: its own, and later its
// children's, which begin as copies of it.
type space struct {
	parent, depth int
	step          int    // that forked it
	pid           uint32 // who had it first
	pieces        []memory.Piece
	// Which pages it has, by address. No slice is ever changed: a copy shares it.
	pages []held
}

// held is a run of inherited pages that a space has.
type held struct {
	start, end uint64
	inherited  uint32
}

// inheritance works out when pages are poured into whom.
type inheritance struct {
	*Plan
	page   uint64
	spaces []space
	of     map[uint32]int          // spaces by process
	mms    map[uint32]int          // spaces by Mm
	heirs  map[uint32][]*format.Mm // by Inherited
	at     map[int][]*Pour         // by step
}

// inherit plans the pours, or says by a format.InheritError which pages can't be
// inherited.
func (p *Plan) inherit() error {
	if len(p.Skeleton.Inherited) == 0 {
		return nil
	}
	h := &inheritance{
		Plan: p, page: uint64(p.Skeleton.Header.PageSize), of: map[uint32]int{}, mms: map[uint32]int{},
		heirs: map[uint32][]*format.Mm{}, at: map[int][]*Pour{},
	}
	h.family()
	if err := h.schedule(); err != nil {
		return err
	}
	if err := h.follow(); err != nil {
		return err
	}
	p.Pieces = map[uint32][]memory.Piece{}
	for _, mm := range p.Skeleton.Mms {
		n, ok := h.mms[mm.Id]
		if !ok {
			continue
		}
		if err := h.check(mm, &h.spaces[n]); err != nil {
			return err
		}
		p.Pieces[mm.Id] = h.spaces[n].pieces
	}
	return nil
}

// family numbers the address spaces in the order of the forks.
func (h *inheritance) family() {
	add := func(pid uint32, parent, step int) {
		s := space{parent: parent, step: step, pid: pid}
		if parent >= 0 {
			s.depth = h.spaces[parent].depth + 1
		}
		h.of[pid] = len(h.spaces)
		if p := h.Skeleton.Process(pid); p != nil && p.State != format.ProcessState_ZOMBIE {
			h.mms[p.Mm] = len(h.spaces)
		}
		h.spaces = append(h.spaces, s)
	}
	add(h.Root.Pid, -1, -1)
	for i, s := range h.Steps {
		switch {
		case s.Kind != Fork:
		case s.Share&unix.CLONE_VM != 0:
			h.of[s.PID] = h.of[s.By]
		default:
			add(s.PID, h.of[s.By], i)
		}
	}
	for _, mm := range h.Skeleton.Mms {
		for _, i := range mm.Inherits {
			h.heirs[i.Inherited] = append(h.heirs[i.Inherited], mm)
		}
	}
}

// schedule finds whom each Inherited is poured into, and before which fork: the
// nearest from whom all who have its pages descend, before it forks the first
// of them. They come in the image's order, since it may be a pipe.
func (h *inheritance) schedule() error {
	last := -1
	for _, i := range h.Skeleton.Inherited {
		var nodes []int
		for _, mm := range h.heirs[i.Id] {
			n, ok := h.mms[mm.Id]
			if !ok {
				return &format.InheritError{ID: i.Id, Why: fmt.Sprintf("address space %d is no process's", mm.Id)}
			}
			nodes = append(nodes, n)
		}
		if len(nodes) < 2 {
			return &format.InheritError{ID: i.Id, Why: "fewer than two address spaces have them"}
		}
		top, edge := h.top(nodes)
		step := h.spaces[edge].step
		if step < last {
			return &format.InheritError{ID: i.Id, Why: "they come too late for the fork by which they are inherited"}
		}
		last = step
		h.at[step] = append(h.at[step], &Pour{Step: step, By: h.spaces[top].pid, Pages: i})
	}
	return nil
}

// top is the nearest space from which all descend (it may be one of them), and
// the first of its children that one of them is or descends from.
func (h *inheritance) top(nodes []int) (top, edge int) {
	top = nodes[0]
	for _, b := range nodes[1:] {
		for top != b {
			if h.spaces[top].depth < h.spaces[b].depth {
				top, b = b, top
			}
			top = h.spaces[top].parent
		}
	}
	edge = len(h.spaces)
	for _, n := range nodes {
		for ; n != top; n = h.spaces[n].parent {
			if h.spaces[n].parent == top {
				edge = min(edge, n)
			}
		}
	}
	return top, edge
}

// follow goes through the forks with what each address space has then.
func (h *inheritance) follow() error {
	for n := 1; n < len(h.spaces); n++ {
		step := h.spaces[n].step
		parent := &h.spaces[h.spaces[n].parent]
		for _, p := range h.at[step] {
			if err := h.pour(p, parent); err != nil {
				return err
			}
			h.Pours = append(h.Pours, *p)
		}
		h.spaces[n].pieces, h.spaces[n].pages = parent.pieces, parent.pages
	}
	return nil
}

// pour changes an address space as a Pour does, and completes the Pour.
func (h *inheritance) pour(p *Pour, s *space) error {
	want, err := h.want(p.Pages)
	if err != nil {
		return err
	}
	var pieces []memory.Piece
	for _, have := range s.pieces {
		from := have.Start
		for _, w := range want {
			if w.Start >= have.End || w.End <= from || w.Vma.SameBacking(have.Vma) {
				continue
			}
			cut := memory.Piece{Vma: have.Vma, Start: max(from, w.Start), End: min(have.End, w.End)}
			p.Unmap = append(p.Unmap, cut)
			if from < cut.Start {
				pieces = append(pieces, memory.Piece{Vma: have.Vma, Start: from, End: cut.Start})
			}
			from = cut.End
		}
		if from < have.End {
			pieces = append(pieces, memory.Piece{Vma: have.Vma, Start: from, End: have.End})
		}
	}
	next := 0
	for _, w := range want {
		at := w.Start
		for next < len(pieces) && pieces[next].End <= at {
			next++
		}
		for i := next; i < len(pieces) && pieces[i].Start < w.End; i++ {
			if pieces[i].Start > at {
				p.Map = append(p.Map, memory.Piece{Vma: w.Vma, Start: at, End: pieces[i].Start})
			}
			at = max(at, pieces[i].End)
		}
		if at < w.End {
			p.Map = append(p.Map, memory.Piece{Vma: w.Vma, Start: at, End: w.End})
		}
	}
	s.pieces = slices.Concat(pieces, p.Map)
	slices.SortFunc(s.pieces, func(a, b memory.Piece) int { return cmp.Compare(a.Start, b.Start) })
	var cut []held
	for _, u := range p.Unmap {
		cut = append(cut, held{u.Start, u.End, 0})
	}
	s.pages = overlay(s.pages, cut)
	var fresh []held
	for a, b := range format.EachRun(p.Pages.Runs, h.page) {
		fresh = append(fresh, held{a, b, p.Pages.Id})
	}
	s.pages = overlay(s.pages, fresh)
	return nil
}

// want are the mappings that pages need, by address: as large as anybody has
// them who inherits, so that they need not grow.
func (h *inheritance) want(i *format.Inherited) ([]memory.Piece, error) {
	var all []memory.Piece
	for _, mm := range h.heirs[i.Id] {
		heirs := map[*format.Vma]*memory.Piece{}
		for _, e := range mm.Inherits {
			if e.Inherited == i.Id {
				memory.EachHeir(mm, e, h.page, heirs)
			}
		}
		for _, part := range heirs {
			all = append(all, *part)
		}
	}
	slices.SortFunc(all, func(a, b memory.Piece) int {
		if c := cmp.Compare(a.Start, b.Start); c != 0 {
			return c
		}
		return cmp.Compare(a.End, b.End)
	})
	joined, ok := join(all, func(p memory.Piece) memory.Piece {
		return memory.Piece{Vma: p.Vma, Start: p.Vma.Start, End: p.Vma.End}
	})
	if !ok {
		joined, ok = join(all, func(p memory.Piece) memory.Piece { return p })
	}
	if !ok {
		return nil, &format.InheritError{ID: i.Id, Why: "they lie in mappings of different files"}
	}
	return joined, nil
}

// join joins pieces that overlap; not ok if two of them are not of the same.
func join(all []memory.Piece, extent func(memory.Piece) memory.Piece) ([]memory.Piece, bool) {
	list := make([]memory.Piece, len(all))
	for i, p := range all {
		list[i] = extent(p)
	}
	slices.SortFunc(list, func(a, b memory.Piece) int { return cmp.Compare(a.Start, b.Start) })
	var joined []memory.Piece
	for _, p := range list {
		if n := len(joined); n > 0 && p.Start < joined[n-1].End {
			if !p.Vma.SameBacking(joined[n-1].Vma) {
				return nil, false
			}
			joined[n-1].End = max(joined[n-1].End, p.End)
			continue
		}
		joined = append(joined, p)
	}
	return joined, true
}

// overlay puts runs over others. What is put there for nobody is a hole.
func overlay(under, over []held) []held {
	if len(over) == 0 {
		return under
	}
	var all []held
	add := func(r held) {
		if n := len(all); n > 0 && all[n-1].end == r.start && all[n-1].inherited == r.inherited {
			all[n-1].end = r.end
		} else if r.start < r.end && r.inherited != 0 {
			all = append(all, r)
		}
	}
	at := uint64(0)
	for _, o := range over {
		for len(under) > 0 && under[0].start < o.start {
			u := under[0]
			add(held{max(u.start, at), min(u.end, o.start), u.inherited})
			if u.end > o.start {
				break
			}
			under = under[1:]
		}
		add(o)
		at = o.end
		for len(under) > 0 && under[0].end <= at {
			under = under[1:]
		}
	}
	for _, u := range under {
		add(held{max(u.start, at), u.end, u.inherited})
	}
	return all
}

// check sees that an address space has all that it is to keep.
func (h *inheritance) check(mm *format.Mm, s *space) error {
	keep := memory.Keep(mm, s.pieces, h.page)
	for _, i := range mm.Inherits {
		pages, kept := s.pages, keep
		for a, b := range format.EachRun(i.Runs, h.page) {
			for len(pages) > 0 && pages[0].end <= a {
				pages = pages[1:]
			}
			if len(pages) == 0 || pages[0].start > a || pages[0].end < b || pages[0].inherited != i.Inherited {
				return &format.InheritError{ID: i.Inherited, Why: fmt.Sprintf("process %d has other pages at %#x when its turn comes", s.pid, a)}
			}
			for a < b {
				for len(kept) > 0 && kept[0].End <= a {
					kept = kept[1:]
				}
				if len(kept) == 0 || kept[0].Start > a {
					return &format.InheritError{ID: i.Inherited, Why: fmt.Sprintf("process %d has another mapping at %#x when its turn comes", s.pid, a)}
				}
				a = kept[0].End
			}
		}
	}
	return nil
}
