// Package format is what a statefile holds: the messages of statefile.proto, and
// the skeleton, which is all of them but the bytes of memory. FORMAT.md tells
// it to authors of other programs.
package format

import (
	"errors"
	"fmt"
	"slices"
	"sort"
)

// Skeleton is everything of an image but the bytes.
type Skeleton struct {
	Header          *Header
	Container       *Container
	FileSystems     []*FileSystem
	CgroupTrees     []*CgroupTree
	Namespaces      []*Namespace
	Mms             []*Mm
	SharedMemories  []*SharedMemory
	Files           []*Files
	Fs              []*Fs
	Sighands        []*Sighand
	OpenFiles       []*OpenFile
	Pipes           []*Pipe
	MessageQueues   []*MessageQueue
	SeccompFilters  []*SeccompFilter
	SessionKeyrings []*SessionKeyring
	BpfMaps         []*BpfMap
	BpfPrograms     []*BpfProgram
	BpfAttachments  []*BpfAttachment
	Processes       []*Process
	Inherited       []*Inherited // in the order in which a restart needs them
	Layout          *Layout
}

// Records are the skeleton's records, numbered, in the order in which they are
// written: the header first, the layout last.
func (s *Skeleton) Records() []*Record {
	var all []*Record
	add := func(r *Record) {
		r.Number = uint64(len(all))
		all = append(all, r)
	}
	add(&Record{Body: &Record_Header{s.Header}})
	add(&Record{Body: &Record_Container{s.Container}})
	for _, m := range s.FileSystems {
		add(&Record{Body: &Record_FileSystem{m}})
	}
	for _, m := range s.CgroupTrees {
		add(&Record{Body: &Record_CgroupTree{m}})
	}
	for _, m := range s.Namespaces {
		add(&Record{Body: &Record_Namespace{m}})
	}
	for _, m := range s.Mms {
		add(&Record{Body: &Record_Mm{m}})
	}
	for _, m := range s.Inherited {
		add(&Record{Body: &Record_Inherited{m}})
	}
	for _, m := range s.SharedMemories {
		add(&Record{Body: &Record_SharedMemory{m}})
	}
	for _, m := range s.Files {
		add(&Record{Body: &Record_Files{m}})
	}
	for _, m := range s.Fs {
		add(&Record{Body: &Record_Fs{m}})
	}
	for _, m := range s.Sighands {
		add(&Record{Body: &Record_Sighand{m}})
	}
	for _, m := range s.OpenFiles {
		add(&Record{Body: &Record_OpenFile{m}})
	}
	for _, m := range s.Pipes {
		add(&Record{Body: &Record_Pipe{m}})
	}
	for _, m := range s.MessageQueues {
		add(&Record{Body: &Record_MessageQueue{m}})
	}
	for _, m := range s.SeccompFilters {
		add(&Record{Body: &Record_SeccompFilter{m}})
	}
	for _, m := range s.SessionKeyrings {
		add(&Record{Body: &Record_SessionKeyring{m}})
	}
	for _, m := range s.BpfMaps {
		add(&Record{Body: &Record_BpfMap{m}})
	}
	for _, m := range s.BpfPrograms {
		add(&Record{Body: &Record_BpfProgram{m}})
	}
	for _, m := range s.BpfAttachments {
		add(&Record{Body: &Record_BpfAttachment{m}})
	}
	for _, m := range s.Processes {
		add(&Record{Body: &Record_Process{m}})
	}
	add(&Record{Body: &Record_Layout{s.Layout}})
	return all
}

// Add is the inverse of Records, for one record after the other. It does not
// look at the record's number.
func (s *Skeleton) Add(r *Record) error {
	once := func(have bool, what string) error {
		if have {
			return fmt.Errorf("a second %s", what)
		}
		return nil
	}
	switch b := r.Body.(type) {
	case *Record_Header:
		if err := once(s.Header != nil, "header"); err != nil {
			return err
		}
		s.Header = b.Header
	case *Record_Container:
		if err := once(s.Container != nil, "container record"); err != nil {
			return err
		}
		s.Container = b.Container
	case *Record_FileSystem:
		s.FileSystems = append(s.FileSystems, b.FileSystem)
	case *Record_CgroupTree:
		s.CgroupTrees = append(s.CgroupTrees, b.CgroupTree)
	case *Record_Namespace:
		s.Namespaces = append(s.Namespaces, b.Namespace)
	case *Record_Mm:
		s.Mms = append(s.Mms, b.Mm)
	case *Record_SharedMemory:
		s.SharedMemories = append(s.SharedMemories, b.SharedMemory)
	case *Record_Inherited:
		s.Inherited = append(s.Inherited, b.Inherited)
	case *Record_Files:
		s.Files = append(s.Files, b.Files)
	case *Record_Fs:
		s.Fs = append(s.Fs, b.Fs)
	case *Record_Sighand:
		s.Sighands = append(s.Sighands, b.Sighand)
	case *Record_OpenFile:
		s.OpenFiles = append(s.OpenFiles, b.OpenFile)
	case *Record_Pipe:
		s.Pipes = append(s.Pipes, b.Pipe)
	case *Record_MessageQueue:
		s.MessageQueues = append(s.MessageQueues, b.MessageQueue)
	case *Record_SeccompFilter:
		s.SeccompFilters = append(s.SeccompFilters, b.SeccompFilter)
	case *Record_SessionKeyring:
		s.SessionKeyrings = append(s.SessionKeyrings, b.SessionKeyring)
	case *Record_BpfMap:
		s.BpfMaps = append(s.BpfMaps, b.BpfMap)
	case *Record_BpfProgram:
		s.BpfPrograms = append(s.BpfPrograms, b.BpfProgram)
	case *Record_BpfAttachment:
		s.BpfAttachments = append(s.BpfAttachments, b.BpfAttachment)
	case *Record_Process:
		s.Processes = append(s.Processes, b.Process)
	case *Record_Layout:
		if err := once(s.Layout != nil, "layout"); err != nil {
			return err
		}
		s.Layout = b.Layout
	default:
		return errors.New("a record that does not belong into the skeleton")
	}
	return nil
}

// find finds the object with an id; nil if there is none. Objects of a kind
// mostly lie in the order of their ids: a binary search finds them, and only
// where they do not, all are looked at.
func find[T any](list []*T, id uint32, of func(*T) uint32) *T {
	i := sort.Search(len(list), func(i int) bool { return of(list[i]) >= id })
	if i < len(list) && of(list[i]) == id {
		return list[i]
	}
	for _, m := range list {
		if of(m) == id {
			return m
		}
	}
	return nil
}

// Mm finds an address space by its id.
func (s *Skeleton) Mm(id uint32) *Mm { return find(s.Mms, id, (*Mm).GetId) }

// SharedMemory finds shared memory by its id.
func (s *Skeleton) SharedMemory(id uint32) *SharedMemory {
	return find(s.SharedMemories, id, (*SharedMemory).GetId)
}

// InheritedByID finds pages that were inherited by their id.
func (s *Skeleton) InheritedByID(id uint32) *Inherited {
	return find(s.Inherited, id, (*Inherited).GetId)
}

// FilesByID finds a descriptor table by its id.
func (s *Skeleton) FilesByID(id uint32) *Files { return find(s.Files, id, (*Files).GetId) }

// FsByID finds root, working directory and umask by their id.
func (s *Skeleton) FsByID(id uint32) *Fs { return find(s.Fs, id, (*Fs).GetId) }

// Sighand finds a table of signal actions by its id.
func (s *Skeleton) Sighand(id uint32) *Sighand { return find(s.Sighands, id, (*Sighand).GetId) }

// OpenFile finds an open file description by its id.
func (s *Skeleton) OpenFile(id uint32) *OpenFile { return find(s.OpenFiles, id, (*OpenFile).GetId) }

// Pipe finds a pipe by its id.
func (s *Skeleton) Pipe(id uint32) *Pipe { return find(s.Pipes, id, (*Pipe).GetId) }

// MessageQueue finds a POSIX message queue by its id.
func (s *Skeleton) MessageQueue(id uint32) *MessageQueue {
	return find(s.MessageQueues, id, (*MessageQueue).GetId)
}

// Process finds a process by its number in the container.
func (s *Skeleton) Process(pid uint32) *Process { return find(s.Processes, pid, (*Process).GetPid) }

// Namespace finds a namespace by its id.
func (s *Skeleton) Namespace(id uint32) *Namespace { return find(s.Namespaces, id, (*Namespace).GetId) }

// FileSystem finds a file system by its id.
func (s *Skeleton) FileSystem(id uint32) *FileSystem {
	return find(s.FileSystems, id, (*FileSystem).GetId)
}

// BpfMap finds a BPF map by its id.
func (s *Skeleton) BpfMap(id uint32) *BpfMap { return find(s.BpfMaps, id, (*BpfMap).GetId) }

// BpfProgram finds a BPF program by its id.
func (s *Skeleton) BpfProgram(id uint32) *BpfProgram {
	return find(s.BpfPrograms, id, (*BpfProgram).GetId)
}

// SeccompFilter finds a seccomp filter by its id.
func (s *Skeleton) SeccompFilter(id uint32) *SeccompFilter {
	return find(s.SeccompFilters, id, (*SeccompFilter).GetId)
}

// SeccompChain are the filters of a task, by the one that was loaded last; the
// first that was loaded comes first.
func (s *Skeleton) SeccompChain(last uint32) []*SeccompFilter {
	var chain []*SeccompFilter
	for f := s.SeccompFilter(last); f != nil; f = s.SeccompFilter(f.Previous) {
		chain = append(chain, f)
	}
	slices.Reverse(chain)
	return chain
}
