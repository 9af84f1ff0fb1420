// Package memory looks at address spaces: their mappings, which pages of them
// have to be saved, and the bytes of those.
//
// Look reads /proc alone and collects what goes into the skeleton; Pump then
// moves the bytes. Which bytes those are:
//
//   - private anonymous memory: pages that are present or swapped out, but for
//     the shared zero page and pages full of zeros;
//   - private mappings of files: pages that the program has written, i.e. that
//     are no longer the file's, zeros included;
//   - of both, pages that address spaces share since a fork: once for all;
//   - shared anonymous memory, memfds, removed files, System V segments: once
//     for all that map or open them, what the inode holds;
//   - shared mappings of other files: none, the file has them.
//
// A page that is absent is never read: that would create it in the target.
package memory

import (
	"context"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/refusal"
)

// Space is an address space to look at.
type Space struct {
	ID      uint32 // of its format.Mm
	PID     int    // host's pid of a process that has it
	NSPID   int    // the same process in the container
	Command string
	// Foreign: its program is not one of the container's files (lxc-execute's
	// init), which therefore need not be found at their paths.
	Foreign bool
	Facts   Facts
}

// Memory is what Look found.
type Memory struct {
	Mms    []*format.Mm
	Shared []*format.SharedMemory
	// Inherited is what address spaces share since a fork.
	Inherited []*format.Inherited
	Contents  []*format.Content
	sources   []source
	// How many sources each Inherited has; they are the first.
	inherited []int
	objects   *view.Objects
	closers   []func()
}

// source is a content whose bytes Pump reads.
type source struct {
	owner   uint32
	pid     int    // host's pid of a process that has it, for messages and to read it
	shared  string // /proc path of shared memory; empty: an address space
	ours    []byte // or memory that is mapped here, too: extents are of it
	extents []extent
}

// extent is a run of pages that hold data.
type extent struct {
	start, length uint64
	how           how
}

// how an extent is read and stored; a set of bits.
type how uint8

const (
	// Only through /proc/PID/mem: what the program can't read itself; and what
	// it may share with others since a fork, of which process_vm_readv(2) would
	// give it a copy of its own (gup_must_unshare, mm/internal.h, Linux 5.19).
	byFile    how = 1 << iota
	keepZeros     // pages of zeros differ from what would be there without them
	ofFile        // a written page of a private file mapping
	huge          // in a MAP_HUGETLB mapping
)

// Env is what the room gets from the story.
type Env struct {
	Root    *view.Root        // of the container's mount namespace
	Nested  []view.NestedRoot // of those that programs have made
	IDs     *view.IDs
	Objects *view.Objects // nil: a look of its own finds them
	Workers int           // how many goroutines may look at once
	// Rings are the rings of io_uring (OpenFile.id), by the page frames that a
	// mapping of one begins with.
	Rings map[uint64]uint32
	// PacketRings are the rings of frames of packet sockets, by the inodes of these.
	PacketRings map[uint64]PacketRing
	// Aio are the contexts of io_setup(2) of each address space (Space.ID);
	// AioUnknown says why nobody tells of them.
	Aio        map[uint32][]kernel.AioContext
	AioUnknown error
	// Kin says who was forked by whom; nil: nobody shares pages with anybody.
	Kin *Kin
}

// PacketRing is what is mapped of a packet socket.
type PacketRing struct {
	File uint32 // OpenFile.id
	Size uint64 // bytes
}

// Look looks at address spaces of stopped processes. What can't be taken is in
// the list; an error is a failure to look.
func Look(ctx context.Context, env Env, spaces []Space) (*Memory, refusal.List, error) {
	if env.Objects == nil {
		env.Objects = &view.Objects{IDs: env.IDs}
	}
	l := &looker{env: env, files: map[fileKey]*fileLook{}}
	found := make([]*spaceLook, len(spaces))
	errs := make([]error, len(spaces))
	var next sync.Mutex
	var group sync.WaitGroup
	claimed := 0
	for range max(1, min(env.Workers, len(spaces))) {
		group.Go(func() {
			for {
				next.Lock()
				i := claimed
				claimed++
				next.Unlock()
				if i >= len(spaces) {
					return
				}
				if errs[i] = ctx.Err(); errs[i] == nil {
					found[i], errs[i] = l.space(&spaces[i])
				}
			}
		})
	}
	group.Wait()
	m := &Memory{objects: env.Objects}
	var refused refusal.List
	for i, s := range found {
		if errs[i] != nil {
			return nil, nil, fmt.Errorf("memory of process %d (%s): %w", spaces[i].NSPID, spaces[i].Command, errs[i])
		}
		m.Mms = append(m.Mms, s.mm)
		refused = append(refused, s.refused...)
	}
	if len(refused) == 0 {
		if err := m.inherit(ctx, env, found); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range found {
		m.add(source{owner: s.mm.Id, pid: s.PID, extents: s.extents})
	}
	if err := env.Objects.Unattached(); err != nil {
		return nil, nil, err
	}
	for _, o := range env.Objects.InOrder() {
		m.addObject(o)
	}
	return m, refused, nil
}

// AddFile adds the bytes of a file: path is one of ours, open until Close.
func (m *Memory) AddFile(owner uint32, path string, size uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	extents, err := view.Extents(f, size)
	if err != nil {
		return err
	}
	s := source{owner: owner, shared: path}
	for _, e := range extents {
		s.extents = append(s.extents, extent{start: e.Start, length: e.Length})
	}
	m.add(s)
	return nil
}

// AddBytes adds bytes that are mapped here, until Close.
func (m *Memory) AddBytes(owner uint32, b []byte) {
	m.add(source{owner: owner, ours: b, extents: []extent{{length: uint64(len(b))}}})
}

// OnClose has Close call f.
func (m *Memory) OnClose(f func()) { m.closers = append(m.closers, f) }

// Close gives up what the contents are read from.
func (m *Memory) Close() {
	m.objects.Close()
	for _, f := range m.closers {
		f()
	}
	m.closers = nil
}

func (m *Memory) add(s source) {
	var bytes uint64
	for _, e := range s.extents {
		bytes += e.length
	}
	if bytes == 0 {
		return
	}
	m.sources = append(m.sources, s)
	m.Contents = append(m.Contents, &format.Content{Owner: s.owner, Estimate: bytes})
}

// Estimate is how many bytes Pump will read.
func (m *Memory) Estimate() int64 {
	var n uint64
	for _, c := range m.Contents {
		n += c.Estimate
	}
	return int64(n)
}

// looker is one Look. Its maps serve all spaces.
type looker struct {
	env   Env
	mutex sync.Mutex
	files map[fileKey]*fileLook
}

// spaceLook is what is found of one space.
type spaceLook struct {
	*Space
	mm      *format.Mm
	areas   []procfs.MappedArea
	extents []extent
	common  []commonArea
	refused refusal.List
}

func (s *spaceLook) refuse(a *procfs.MappedArea, kind, reason, remedy string) {
	r := &refusal.Refusal{PID: s.NSPID, Command: s.Command, Kind: kind, Reason: reason, Remedy: remedy}
	if a != nil {
		r.Object = fmt.Sprintf("mapping %x-%x", a.Start, a.End)
		if a.Path != "" {
			r.Object += " of " + a.Path
		}
	}
	s.refused = append(s.refused, r)
}

func (l *looker) space(space *Space) (*spaceLook, error) {
	s := &spaceLook{Space: space, mm: &format.Mm{Id: space.ID}}
	if err := l.fields(s); err != nil {
		return nil, err
	}
	var err error
	if s.areas, err = procfs.ReadSmaps(space.PID); err != nil {
		return nil, err
	}
	var kept []keptArea
	for i := range s.areas {
		a := &s.areas[i]
		v, err := l.vma(s, a)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue // refused
		}
		s.mm.Vmas = append(s.mm.Vmas, v)
		if h, ok := howToRead(v, a); ok {
			if mayBeCommon(v, a) {
				h |= byFile
				s.common = append(s.common, commonArea{vma: v, how: h})
			}
			kept = append(kept, keptArea{v.Start, v.End, h})
		}
	}
	if err := s.narrow(); err != nil {
		return nil, err
	}
	if len(s.refused) > 0 {
		return s, nil // nothing will be written
	}
	s.extents, s.mm.Guards, err = pages(space.PID, kept)
	return s, err
}

// howToRead says whether pages of a mapping belong into the contents of its
// address space, and how.
func howToRead(v *format.Vma, a *procfs.MappedArea) (how, bool) {
	var h how
	switch v.Kind {
	case format.VmaKind_VMA_ANONYMOUS:
	case format.VmaKind_VMA_FILE_PRIVATE:
		h = ofFile | keepZeros
	default:
		return 0, false
	}
	if a.Has("dp") { // the kernel may drop it at any time: as good as dropped
		return 0, false
	}
	if v.Prot&unix.PROT_READ == 0 {
		h |= byFile
	}
	if v.HugePageSize != 0 {
		h |= huge
	}
	return h, true
}

var pageSize = uint64(os.Getpagesize())
