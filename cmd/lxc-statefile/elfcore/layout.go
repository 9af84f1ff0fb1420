package elfcore

import (
	"maps"
	"slices"

	"lxc-checkpoint/image/format"
)

// region is a mapping's place in the core file. Either the whole mapping has a
// stretch of the file, in which what was never written are holes that read as
// zeros; or, where a hole would say something wrong or take terabytes, only
// pieces of it that have bytes do.
type region struct {
	*format.Vma
	offset int64 // in the file; -1: in pieces
	pieces map[uint64]*piece
}

// piecePages is how many pages a piece has.
const piecePages = 512

// piece is an aligned part of a region and which of its pages are there.
type piece struct {
	offset int64 // where its first page is or, if the region begins later, would be
	there  [piecePages / 64]uint64
}

// segment is a PT_LOAD.
type segment struct {
	start, size uint64
	offset      int64
	inFile      uint64 // bytes
	prot        uint32
}

// Limits of what gets a stretch of the file whether it is used or not: file
// systems take files of some 16 TiB.
const (
	largeMapping = 1 << 40
	largeFile    = 4 << 40
)

// layout distributes the core file.
type layout struct {
	page    uint64
	end     int64 // of what is distributed
	regions []*region
}

func newLayout(page uint64) *layout { return &layout{page: page, end: int64(page)} }

// add gives a mapping its place. missing: its file is not at hand, so only what
// the statefile has of it can be there.
func (l *layout) add(v *format.Vma, missing bool) *region {
	r := &region{Vma: v, offset: -1, pieces: map[uint64]*piece{}}
	size := v.End - v.Start
	if !missing && v.Prot != 0 && size <= largeMapping && uint64(l.end)+size <= largeFile {
		r.offset = l.take(size)
	}
	l.regions = append(l.regions, r)
	return r
}

func (l *layout) take(size uint64) int64 {
	at := l.end
	l.end += int64(size)
	return at
}

// place is where the page at an address of r, and how many bytes after it, go.
func (l *layout) place(r *region, address uint64) (offset int64, room uint64) {
	if r.offset >= 0 {
		return r.offset + int64(address-r.Start), r.End - address
	}
	size := piecePages * l.page
	p := r.pieces[address/size]
	if p == nil {
		// No more of it than the mapping has.
		begin := address / size * size
		first := max(begin, r.Start)
		p = &piece{offset: l.take(min(begin+size, r.End)-first) - int64(first-begin)}
		r.pieces[address/size] = p
	}
	n := address % size / l.page
	p.there[n/64] |= 1 << (n % 64)
	return p.offset + int64(address%size), l.page
}

// segments lists the program headers of a region.
func (l *layout) segments(r *region) []segment {
	whole := segment{start: r.Start, size: r.End - r.Start, offset: r.offset, prot: r.Prot}
	if r.offset >= 0 {
		whole.inFile = whole.size
		return []segment{whole}
	}
	var all []segment
	// add adds a page, to the last segment if it goes on there.
	at := r.Start
	add := func(start, size uint64, offset int64, inFile bool) {
		if size == 0 {
			return
		}
		s := segment{start: start, size: size, prot: r.Prot}
		if inFile {
			s.offset, s.inFile = offset, size
		}
		if n := len(all); n > 0 && inFile && all[n-1].inFile > 0 && all[n-1].offset+int64(all[n-1].size) == offset {
			all[n-1].size += size
			all[n-1].inFile += size
		} else {
			all = append(all, s)
		}
		at = start + size
	}
	for _, key := range slices.Sorted(maps.Keys(r.pieces)) {
		p := r.pieces[key]
		for n := range uint64(piecePages) {
			if p.there[n/64]&(1<<(n%64)) != 0 {
				address := (key*piecePages + n) * l.page
				add(at, address-at, 0, false)
				add(address, l.page, p.offset+int64(n*l.page), true)
			}
		}
	}
	add(at, r.End-at, 0, false)
	return all
}
