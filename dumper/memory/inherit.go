package memory

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// commonArea is a mapping of which pages may be shared since a fork.
type commonArea struct {
	vma *format.Vma
	how how
}

// mayBeCommon goes by what smaps says of a mapping, which rules most out. A
// slot of swap that several have counts for each of them in part.
func mayBeCommon(v *format.Vma, a *procfs.MappedArea) bool {
	return v.CanInherit() && a.KernelPageSize == pageSize && (a.SharedBytes > 0 || a.Swap > a.SwapPss)
}

// window is how many pages are compared at a time: memory stays bounded,
// whatever the container's size.
const window = 1024

// mostRuns bounds the lists of inherited pages: what is more scattered than that
// is saved as each one's own.
const mostRuns = 1 << 20

// inherit finds the pages that address spaces share since a fork, and takes them
// out of their extents.
func (m *Memory) inherit(ctx context.Context, env Env, found []*spaceLook) error {
	if env.Kin == nil {
		return nil
	}
	spaceOf := map[uint32]int{}
	candidates := 0
	for i, s := range found {
		spaceOf[s.mm.Id] = i
		if len(s.common) > 0 {
			candidates++
		}
	}
	if candidates < 2 {
		return nil
	}
	nodes := env.Kin.tree(spaceOf)
	banned := map[int]bool{}
	ids := map[int]uint32{} // of the Inherited of each edge
	for {
		f := &finder{
			env: env, found: found, family: family{nodes: nodes, banned: banned},
			common: map[int]*common{}, ids: ids,
		}
		if err := f.find(ctx); err != nil {
			return err
		}
		inherited := f.messages()
		cannot := env.Kin.Check(m.Mms, inherited)
		if cannot == nil {
			f.keep(m)
			m.Inherited = inherited
			return nil
		}
		if !f.ban(cannot.ID) {
			return cannot
		}
	}
}

// finder compares the page tables of a family.
type finder struct {
	env   Env
	found []*spaceLook
	family
	cursors []*cursor
	of      []*cursor       // by node; nil: it has no pages that could be common
	common  map[int]*common // by edge
	ids     map[int]uint32
	runs    int
	members []member
}

// cursor goes through the pages of a space that may be common.
type cursor struct {
	space   int
	node    int
	file    *os.File
	extents []extent // those that lie at or behind the window
	done    uint64   // before this address, all is compared
	areas   []commonArea
	entries []byte   // of pagemap, in the window
	pages   []uint64 // which page it is, 0: none that could be common
	backing []*commonArea
	used    bool // in this window
	taken   *format.Runs
	mine    map[int]*format.Runs // by edge
}

// common are the pages that go over an edge.
type common struct {
	runs    *format.Runs
	sources map[int]*source // by the space that they are read from
	order   []int
}

func (f *finder) find(ctx context.Context) error {
	defer f.close()
	f.of = make([]*cursor, len(f.nodes))
	for n, k := range f.nodes {
		if k.space < 0 || len(f.found[k.space].common) == 0 {
			continue
		}
		s := f.found[k.space]
		file, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", s.PID))
		if err != nil {
			return err
		}
		f.of[n] = &cursor{
			space: k.space, node: n, file: file, extents: s.extents, areas: s.common,
			entries: make([]byte, window*8), pages: make([]uint64, window), backing: make([]*commonArea, window),
			taken: format.NewRuns(pageSize), mine: map[int]*format.Runs{},
		}
		f.cursors = append(f.cursors, f.of[n])
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		start, ok := f.next()
		if !ok || f.runs > mostRuns {
			return nil
		}
		start -= start % (window * pageSize)
		used := 0
		for _, c := range f.cursors {
			if err := c.load(start); err != nil {
				return fmt.Errorf("read the page table of host's process %d: %w", f.found[c.space].PID, err)
			}
			if c.used {
				used++
			}
		}
		if used >= 2 {
			f.compare(start)
		}
	}
}

// next is where the next page is that may be common.
func (f *finder) next() (uint64, bool) {
	at, ok := ^uint64(0), false
	for _, c := range f.cursors {
		if a, has := c.at(); has && a < at {
			at, ok = a, true
		}
	}
	return at, ok
}

// at is the cursor's next page.
func (c *cursor) at() (uint64, bool) {
	for len(c.extents) > 0 && len(c.areas) > 0 {
		e, v := &c.extents[0], c.areas[0].vma
		switch {
		case e.start+e.length <= max(v.Start, c.done):
			c.extents = c.extents[1:]
		case v.End <= max(e.start, c.done):
			c.areas = c.areas[1:]
		default:
			return max(e.start, v.Start, c.done), true
		}
	}
	return 0, false
}

// load reads which pages the space has in the window that begins at start, and
// moves the cursor behind it.
func (c *cursor) load(start uint64) error {
	end := start + window*pageSize
	c.used = false
	first, ok := c.at()
	if !ok || first >= end {
		return nil
	}
	clear(c.pages)
	low, high := window, 0
	extents, areas := c.extents, c.areas
	for len(extents) > 0 && len(areas) > 0 && extents[0].start < end && areas[0].vma.Start < end {
		e, v := &extents[0], areas[0].vma
		from, to := max(e.start, v.Start, start), min(e.start+e.length, v.End, end)
		if from < to {
			i, j := int((from-start)/pageSize), int((to-start)/pageSize)
			low, high = min(low, i), max(high, j)
			for ; i < j; i++ {
				c.pages[i], c.backing[i] = 1, &areas[0]
			}
		}
		if v.End < e.start+e.length {
			areas = areas[1:]
		} else {
			extents = extents[1:]
		}
	}
	c.done = end
	if low >= high {
		return nil
	}
	b := c.entries[:(high-low)*8]
	if n, err := c.file.ReadAt(b, int64((start/pageSize+uint64(low))*8)); n < len(b) {
		return err
	}
	for i := low; i < high; i++ {
		if c.pages[i] == 0 {
			continue
		}
		e := binary.LittleEndian.Uint64(b[(i-low)*8:])
		c.pages[i] = 0
		if e&(pagemapPresent|pagemapSwapped) == 0 || e&pagemapExclusive != 0 || e&pagemapNumber == 0 {
			continue // without CAP_SYS_ADMIN the kernel tells no numbers
		}
		c.pages[i] = e & (pagemapNumber | pagemapSwapped)
		c.used = true
	}
	return nil
}

// Bits of an entry of /proc/PID/pagemap.
const (
	pagemapExclusive = 1 << 56   // nobody else has it mapped
	pagemapNumber    = 1<<55 - 1 // of the page, or of the slot of swap
)

// compare compares the pages of a window.
func (f *finder) compare(start uint64) {
	for i := range window {
		f.members = f.members[:0]
		for _, c := range f.cursors {
			if !c.used || c.pages[i] == 0 {
				continue
			}
			same := len(f.members)
			for j, m := range f.members {
				if o := f.of[m.node]; m.same == j && o.pages[i] == c.pages[i] && o.backing[i].vma.SameBacking(c.backing[i].vma) {
					same = j
					break
				}
			}
			f.members = append(f.members, member{c.node, same})
		}
		if len(f.members) < 2 {
			continue
		}
		for k := range f.share(f.members) {
			f.note(&f.answer[k], start+uint64(i)*pageSize, i)
		}
	}
}

// note notes who shares the page at an address, the i-th of the window.
func (f *finder) note(g *group, at uint64, i int) {
	c := f.common[g.edge]
	if c == nil {
		c = &common{runs: format.NewRuns(pageSize), sources: map[int]*source{}}
		f.common[g.edge] = c
	}
	f.runs += c.runs.Add(at, pageSize)
	from := f.of[g.members[0]]
	c.read(at, from, f.found[from.space].PID, from.backing[i].how)
	for _, n := range g.members {
		k := f.of[n]
		if k.mine[g.edge] == nil {
			k.mine[g.edge] = format.NewRuns(pageSize)
		}
		f.runs += k.mine[g.edge].Add(at, pageSize)
		k.taken.Add(at, pageSize)
	}
}

// read notes from whom a page is to be read.
func (c *common) read(at uint64, from *cursor, pid int, h how) {
	s := c.sources[from.space]
	if s == nil {
		s = &source{pid: pid}
		c.sources[from.space] = s
		c.order = append(c.order, from.space)
	}
	if n := len(s.extents); n > 0 {
		if last := &s.extents[n-1]; last.start+last.length == at && last.how == h {
			last.length += pageSize
			return
		}
	}
	s.extents = append(s.extents, extent{at, pageSize, h})
}

func (f *finder) close() {
	for _, c := range f.cursors {
		c.file.Close()
	}
}

// edges are those that pages go over, in the order of the forks.
func (f *finder) edges() []int { return slices.Sorted(maps.Keys(f.common)) }

// messages says in the image what was found.
func (f *finder) messages() []*format.Inherited {
	var all []*format.Inherited
	for _, s := range f.found {
		s.mm.Inherits = nil
	}
	for _, e := range f.edges() {
		if f.ids[e] == 0 {
			f.ids[e] = f.env.IDs.Next()
		}
		all = append(all, &format.Inherited{Id: f.ids[e], Runs: f.common[e].runs.Bytes()})
		for _, c := range f.cursors {
			if r := c.mine[e]; r != nil {
				mm := f.found[c.space].mm
				mm.Inherits = append(mm.Inherits, &format.Inheritance{Inherited: f.ids[e], Runs: r.Bytes()})
			}
		}
	}
	return all
}

// ban gives up an edge; false if it was not in use.
func (f *finder) ban(id uint32) bool {
	for _, e := range f.edges() {
		if f.ids[e] == id {
			f.banned[e] = true
			return true
		}
	}
	return false
}

// keep makes what was found contents of their own, and takes it from the others.
func (f *finder) keep(m *Memory) {
	for _, e := range f.edges() {
		var bytes uint64
		c := f.common[e]
		for _, space := range c.order {
			s := c.sources[space]
			s.owner = f.ids[e]
			m.sources = append(m.sources, *s)
			for _, x := range s.extents {
				bytes += x.length
			}
		}
		m.inherited = append(m.inherited, len(c.order))
		m.Contents = append(m.Contents, &format.Content{Owner: f.ids[e], Estimate: bytes})
	}
	for _, c := range f.cursors {
		s := f.found[c.space]
		s.extents = without(s.extents, c.taken.Bytes())
	}
}

// without takes runs of pages out of extents.
func without(extents []extent, runs []byte) []extent {
	var left []extent
	next, stop := iter.Pull2(format.EachRun(runs, pageSize))
	defer stop()
	start, end, ok := next()
	for _, e := range extents {
		for at := e.start; at < e.start+e.length; {
			for ok && end <= at {
				start, end, ok = next()
			}
			until := e.start + e.length
			if ok && start <= at {
				at = min(end, until)
				continue
			}
			if ok {
				until = min(until, start)
			}
			left = append(left, extent{at, until - at, e.how})
			at = until
		}
	}
	return left
}
