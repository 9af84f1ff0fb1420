package elfcore

import (
	"testing"

	"lxc-checkpoint/image/format"
)

// TestPieces checks where pages of a mapping go that has no stretch of its own.
func TestPieces(t *testing.T) {
	const page = 4096
	l := newLayout(page)
	r := l.add(&format.Vma{Start: 0x100000, End: 1 << 44, Prot: 3}, false)
	if r.offset >= 0 {
		t.Fatal("a mapping of 16 TiB got a stretch of the file")
	}
	at := map[uint64]int64{}
	for _, a := range []uint64{0x100000, 0x103000, 0x104000, 0x1ff000, 0x200000, 1<<44 - page} {
		offset, room := l.place(r, a)
		if room != page {
			t.Errorf("room for %d bytes", room)
		}
		at[a] = offset
	}
	if l.end > 8<<20 {
		t.Errorf("the file has %d bytes", l.end)
	}
	// A small mapping takes no more of the file than it has.
	before := l.end
	small := l.add(&format.Vma{Start: 0x7ff000, End: 0x801000, Prot: 1}, true)
	l.place(small, 0x7ff000)
	l.place(small, 0x800000)
	if l.end != before+2*page {
		t.Errorf("a mapping of 2 pages takes %d bytes", l.end-before)
	}
	next := r.Start
	var pages uint64
	for _, s := range l.segments(r) {
		if s.start != next {
			t.Errorf("a segment begins at %#x, not %#x", s.start, next)
		}
		next = s.start + s.size
		if s.inFile == 0 {
			continue
		}
		if s.inFile != s.size {
			t.Errorf("%d of %d bytes", s.inFile, s.size)
		}
		for a := s.start; a < next; a += page {
			if want, there := at[a]; !there || want != s.offset+int64(a-s.start) {
				t.Errorf("page %#x at %d instead of %d", a, s.offset+int64(a-s.start), want)
			}
			pages++
		}
	}
	if next != r.End || pages != uint64(len(at)) {
		t.Errorf("segments end at %#x and have %d pages", next, pages)
	}
}

// TestManyHeaders checks that 70,000 mappings, which the ELF header can't count,
// are counted all the same.
func TestManyHeaders(t *testing.T) {
	const many = 70_000
	head := fileHeader("amd64", 4096, 8192, many)
	if n := le.Uint16(head[56:]); n != pnXnum {
		t.Errorf("e_phnum is %#x", n)
	}
	if n := le.Uint32(sectionHeader(many)[44:]); n != many {
		t.Errorf("sh_info is %d", n)
	}
	if n := le.Uint16(head[60:]); n != 1 || le.Uint64(head[40:]) != 8192 {
		t.Errorf("%d section headers at %d", n, le.Uint64(head[40:]))
	}
}
