package main

import (
	"context"
	"sort"
	"sync"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/reader"
)

// Kinds of memory, in the order in which they are shown.
const (
	heap        = "heap"
	stack       = "stack"
	anonymous   = "anonymous"
	filePrivate = "private file"
	fileShared  = "shared file"
	shared      = "shared anonymous"
	kernelOwn   = "kernel"
)

var memoryKinds = []string{heap, stack, anonymous, filePrivate, fileShared, shared, kernelOwn}

func memoryKind(v *format.Vma) string {
	switch v.GetKind() {
	case format.VmaKind_VMA_ANONYMOUS:
		switch {
		case v.IsHeap:
			return heap
		case v.IsStack:
			return stack
		}
		return anonymous
	case format.VmaKind_VMA_FILE_PRIVATE:
		return filePrivate
	case format.VmaKind_VMA_FILE_SHARED:
		return fileShared
	case format.VmaKind_VMA_SHARED_ANONYMOUS:
		return shared
	}
	return kernelOwn
}

// sizes are what the statefile holds of one owner, by kind of memory.
type sizes map[string]*Memory

func (s sizes) of(kind string) *Memory {
	if s[kind] == nil {
		s[kind] = &Memory{Kind: kind}
	}
	return s[kind]
}

func (s sizes) add(o sizes) {
	for kind, k := range o {
		t := s.of(kind)
		t.Mappings += k.Mappings
		t.Size += k.Size
		t.Stored += k.Stored
		t.Compressed += k.Compressed
	}
}

func (s sizes) list() []Memory {
	all := []Memory{}
	for _, k := range memoryKinds {
		if m := s[k]; m != nil {
			all = append(all, *m)
		}
	}
	return all
}

// heir is an address space that has pages of an Inherited.
type heir struct {
	mm   *format.Mm
	runs []span
	has  sizes
}

type span struct{ start, end uint64 }

// measured is how large everything is.
type measured struct {
	mu     sync.Mutex
	mms    map[uint32]*format.Mm
	owners map[uint32]sizes
	heirs  map[uint32][]*heir // by Inherited
	file   Statefile
}

func (m *measured) of(owner uint32) sizes {
	if m.owners[owner] == nil {
		m.owners[owner] = sizes{}
	}
	return m.owners[owner]
}

// newMeasured counts frames from now on: it comes before the skeleton is read.
func newMeasured(img *reader.Reader) *measured {
	m := &measured{mms: map[uint32]*format.Mm{}, owners: map[uint32]sizes{}, heirs: map[uint32][]*heir{}}
	img.Trace(func(f reader.Frame) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.file.Frames++
		m.file.Bytes += int64(f.Compressed)
		bytes := uint64(0)
		for _, r := range f.Runs {
			bytes += uint64(r.Bytes)
		}
		if bytes == 0 {
			m.file.Skeleton += int64(f.Compressed)
			return
		}
		// What is compressed together gets its share of the result.
		for _, r := range f.Runs {
			m.split(r.Owner, r.Address, uint64(r.Bytes), func(k *Memory, n uint64) {
				k.Compressed += uint64(f.Compressed) * n / bytes
			})
		}
	})
	return m
}

// read reads everything and measures it.
func (m *measured) read(ctx context.Context, img *reader.Reader, s *format.Skeleton) error {
	for _, mm := range s.Mms {
		m.mms[mm.Id] = mm
		for _, v := range mm.Vmas {
			k := m.of(mm.Id).of(memoryKind(v))
			k.Mappings++
			k.Size += v.End - v.Start
		}
		for _, i := range mm.Inherits {
			h := &heir{mm: mm, has: sizes{}}
			for a, b := range format.EachRun(i.Runs, uint64(s.Header.PageSize)) {
				h.runs = append(h.runs, span{a, b})
			}
			m.heirs[i.Inherited] = append(m.heirs[i.Inherited], h)
		}
	}
	return img.Contents(ctx, workers(), func(owner uint32, offset uint64, data []byte) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.split(owner, offset, uint64(len(data)), func(k *Memory, n uint64) { k.Stored += n })
		return nil
	})
}

// split calls add for the parts of a run of bytes that are of one kind.
func (m *measured) split(owner uint32, offset, size uint64, add func(k *Memory, n uint64)) {
	if heirs := m.heirs[owner]; heirs != nil {
		splitByKind(heirs[0].mm, m.of(owner), offset, size, add)
		for _, h := range heirs {
			first := sort.Search(len(h.runs), func(i int) bool { return h.runs[i].end > offset })
			for _, r := range h.runs[first:] {
				from, to := max(r.start, offset), min(r.end, offset+size)
				if from >= to {
					break
				}
				splitByKind(h.mm, h.has, from, to-from, add)
			}
		}
		return
	}
	mm := m.mms[owner]
	if mm == nil {
		add(m.of(owner).of(shared), size)
		return
	}
	splitByKind(mm, m.of(owner), offset, size, add)
}

func splitByKind(mm *format.Mm, s sizes, offset, size uint64, add func(k *Memory, n uint64)) {
	for size > 0 {
		v := vmaAt(mm, offset)
		n := size
		if v != nil {
			n = min(size, v.End-offset)
		}
		add(s.of(memoryKind(v)), n)
		offset, size = offset+n, size-n
	}
}

// vmaAt finds the mapping that has an address. The reader has checked that there
// is one wherever a statefile has bytes.
func vmaAt(mm *format.Mm, address uint64) *format.Vma {
	i := sort.Search(len(mm.Vmas), func(i int) bool { return mm.Vmas[i].End > address })
	if i == len(mm.Vmas) || mm.Vmas[i].Start > address {
		return nil
	}
	return mm.Vmas[i]
}

// ofMm are the sizes of an address space. Memory that it shares with others is
// in full, as it is in each of them.
func (m *measured) ofMm(mm *format.Mm) []Memory {
	all := sizes{}
	for kind, k := range m.of(mm.Id) {
		*all.of(kind) = *k
	}
	seen := map[uint32]bool{}
	for _, v := range mm.Vmas {
		if id := v.SharedMemory; id != 0 && !seen[id] {
			seen[id] = true
			k, inside := all.of(shared), m.of(id).of(shared)
			k.Stored += inside.Stored
			k.Compressed += inside.Compressed
		}
	}
	for _, i := range mm.Inherits {
		for _, h := range m.heirs[i.Inherited] {
			if h.mm == mm {
				all.add(h.has)
			}
		}
	}
	return all.list()
}

// total adds up all owners.
func (m *measured) total() []Memory {
	all := sizes{}
	for _, owner := range m.owners {
		all.add(owner)
	}
	return all.list()
}
