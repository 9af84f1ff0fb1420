// Package elfcore makes an ELF core file out of a process in a statefile, so
// that gdb can look at it.
package elfcore

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/reader"
)

// Options say how to make a core.
type Options struct {
	// Root is the directory that is the container's root: from the files below
	// it come the pages of file mappings that the program had not changed.
	Root string
	// Missing is told of each file that is not there, or not the same any more.
	// Its pages are then not in the core; gdb takes them from its own file.
	Missing func(path, why string)
}

// core is a core file that is being made.
type core struct {
	to      *os.File
	process *format.Process
	mm      *format.Mm
	// shared are the mappings of each shared memory, private the others.
	shared  map[uint32][]*region
	private []*region
	// inherited are the runs of pages that it has of each Inherited.
	inherited map[uint32][]run

	mu     sync.Mutex // layout changes while pages come
	layout *layout
}

type run struct{ start, end uint64 }

// Write writes the core of process pid to a regular file, which must be empty.
// It reads the whole statefile, and what it wrote counts only if it returns no
// error: it may be damage at the very end.
func Write(ctx context.Context, img *reader.Reader, pid uint32, to *os.File, o Options) error {
	s, err := img.Skeleton()
	if err != nil {
		return err
	}
	p := s.Process(pid)
	if p == nil {
		return fmt.Errorf("the statefile has no process %d (lxc-statefile show lists them)", pid)
	}
	if p.State == format.ProcessState_ZOMBIE {
		return fmt.Errorf("process %d is a zombie: it had ended and has no memory", pid)
	}
	c := &core{to: to, process: p, mm: s.Mm(p.Mm), shared: map[uint32][]*region{}, layout: newLayout(uint64(s.Header.PageSize))}
	c.inherit(uint64(s.Header.PageSize))
	files, err := newFileSet(o.Root, o.Missing)
	if err != nil {
		return err
	}
	defer files.close()
	for _, v := range c.mm.Vmas {
		if err := c.mapping(s.Header, v, files); err != nil {
			return err
		}
	}
	if err := img.Contents(ctx, runtime.NumCPU(), c.pages); err != nil {
		return err
	}
	return c.finish(s)
}

// mapping gives a mapping its place, and what of it is not in the statefile.
func (c *core) mapping(h *format.Header, v *format.Vma, files *fileSet) error {
	switch v.Kind {
	case format.VmaKind_VMA_ANONYMOUS:
		c.private = append(c.private, c.layout.add(v, false))
	case format.VmaKind_VMA_SHARED_ANONYMOUS:
		c.shared[v.SharedMemory] = append(c.shared[v.SharedMemory], c.layout.add(v, false))
	case format.VmaKind_VMA_FILE_PRIVATE, format.VmaKind_VMA_FILE_SHARED:
		if v.Kind == format.VmaKind_VMA_FILE_SHARED && v.SharedMemory != 0 {
			c.shared[v.SharedMemory] = append(c.shared[v.SharedMemory], c.layout.add(v, false))
			return nil
		}
		var f *os.File
		if v.SharedMemory == 0 { // else nobody has it but the statefile: what was written to the mapping is there
			f = files.open(v.File)
		}
		if f != nil {
			defer f.Close()
		}
		r := c.layout.add(v, f == nil)
		c.private = append(c.private, r)
		if r.offset >= 0 {
			return copyFile(c.to, r, f)
		}
	case format.VmaKind_VMA_VDSO:
		var code []byte
		if c.mm.NarrowVdsoDigest == 0 { // the statefile has not that of 32-bit programs
			code = vdso(h, v.End-v.Start)
		}
		r := c.layout.add(v, code == nil)
		if r.offset >= 0 {
			return writeSparse(c.to, code, r.offset)
		}
	default: // vvar, vsyscall: the kernel's
		c.layout.add(v, true)
	}
	return nil
}

// pages puts bytes of the process into the core.
func (c *core) pages(owner uint32, offset uint64, data []byte) error {
	if owner == c.mm.Id {
		if err := c.putPrivate(offset, data); err != nil {
			return err
		}
	}
	if runs := c.inherited[owner]; runs != nil {
		end := offset + uint64(len(data))
		first := sort.Search(len(runs), func(i int) bool { return runs[i].end > offset })
		for _, r := range runs[first:] {
			from, to := max(r.start, offset), min(r.end, end)
			if from >= to {
				break
			}
			if err := c.putPrivate(from, data[from-offset:to-offset]); err != nil {
				return err
			}
		}
	}
	for _, r := range c.shared[owner] {
		if err := c.put(r, r.Offset, offset, data); err != nil {
			return err
		}
	}
	return nil
}

// inherit notes which pages the process shares with others since a fork.
func (c *core) inherit(page uint64) {
	c.inherited = map[uint32][]run{}
	for _, i := range c.mm.Inherits {
		for a, b := range format.EachRun(i.Runs, page) {
			c.inherited[i.Inherited] = append(c.inherited[i.Inherited], run{a, b})
		}
	}
}

// putPrivate puts bytes at an address into the private mappings there.
func (c *core) putPrivate(address uint64, data []byte) error {
	// Mappings lie in order; those before it have none of it.
	first := sort.Search(len(c.private), func(i int) bool { return c.private[i].End > address })
	for _, r := range c.private[first:] {
		if r.Start >= address+uint64(len(data)) {
			break
		}
		if err := c.put(r, r.Start, address, data); err != nil {
			return err
		}
	}
	return nil
}

// put writes what a region, which begins at begin in its content, has of data,
// which lie there at offset.
func (c *core) put(r *region, begin, offset uint64, data []byte) error {
	from := max(offset, begin)
	until := min(offset+uint64(len(data)), begin+r.End-r.Start)
	for from < until {
		c.mu.Lock()
		at, room := c.layout.place(r, r.Start+from-begin)
		c.mu.Unlock()
		n := min(room, until-from)
		if _, err := c.to.WriteAt(data[from-offset:from-offset+n], at); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// finish writes what describes the rest: notes and program headers lie at the
// end, since how many there are depends on the bytes that came.
func (c *core) finish(s *format.Skeleton) error {
	var loads []segment
	for _, r := range c.layout.regions {
		loads = append(loads, c.layout.segments(r)...)
	}
	text := notes(s, c.process)
	notesAt := c.layout.take(uint64(len(text)+7) &^ 7)
	headersAt := c.layout.end
	table := programHeaders(loads, c.layout.page, notesAt, len(text))
	// With more program headers than a header can count, a section header does
	// (PN_XNUM, elf(5)).
	count := len(loads) + 1
	sectionAt := headersAt + int64(len(table))
	if count >= pnXnum {
		table = append(table, sectionHeader(count)...)
	} else {
		sectionAt = 0
	}
	for _, part := range []struct {
		b  []byte
		at int64
	}{
		{text, notesAt},
		{table, headersAt},
		{fileHeader(s.Header.Architecture, headersAt, sectionAt, count), 0},
	} {
		if _, err := c.to.WriteAt(part.b, part.at); err != nil {
			return err
		}
	}
	return nil
}
