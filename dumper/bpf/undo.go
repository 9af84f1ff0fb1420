package bpf

import (
	"encoding/binary"

	"github.com/cilium/ebpf/btf"

	"lxc-checkpoint/dumper/view"
)

// undoOffsets are where the fields lie by which the list of a task's
// adjustments of semaphores is walked (ipc/sem.c).
type undoOffsets struct {
	list, head     uint32 // of task_struct; of sem_undo_list
	entry, id, adj uint32 // of sem_undo: list_proc, semid, semadj
	pointer        bool   // semadj is a pointer to the numbers; else they follow
}

// The part of the record for them: undoSets entries, as the list has them.
const (
	undoSets       = 4
	undoSemaphores = 32
	undoNext       = 0  // 8: the entry after this one
	undoID         = 8  // 4
	undoAt         = 16 // 8: where the numbers are
	undoNumbers    = 24
	undoEntry      = undoNumbers + 2*undoSemaphores
	undoSize       = 16 + undoSets*undoEntry // the list, its first entry, entries
)

// findUndo looks the offsets up; nil on a kernel without System V IPC.
func findUndo(spec *btf.Spec) *undoOffsets {
	o := &undoOffsets{}
	for _, f := range []struct {
		in, name string
		to       *uint32
	}{
		{"task_struct", "sysvsem", &o.list},
		{"sem_undo_list", "list_proc", &o.head},
		{"sem_undo", "list_proc", &o.entry},
		{"sem_undo", "semid", &o.id},
		{"sem_undo", "semadj", &o.adj},
	} {
		m, err := member(spec, f.in, f.name)
		if err != nil {
			return nil
		}
		*f.to = uint32(m) / 8
	}
	var s *btf.Struct
	if spec.TypeByName("sem_undo", &s) != nil {
		return nil
	}
	for _, m := range s.Members {
		if m.Name == "semadj" {
			_, o.pointer = btf.UnderlyingType(m.Type).(*btf.Pointer)
		}
	}
	return o
}

// parse reads the list of a record.
func (o *undoOffsets) parse(b []byte) *view.Undo {
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	list, next := word(0), word(8)
	if o == nil || list == 0 {
		return nil
	}
	u := &view.Undo{List: list}
	end := list + uint64(o.head)
	for at := 16; next != end && next != 0; at += undoEntry {
		if at == undoSize {
			u.More = true
			break
		}
		next = word(at + undoNext)
		id := int32(binary.NativeEndian.Uint32(b[at+undoID:]))
		if id < 0 { // the set was removed
			continue
		}
		s := view.UndoSet{ID: uint32(id), Adjustments: make([]int16, undoSemaphores)}
		for i := range s.Adjustments {
			s.Adjustments[i] = int16(binary.NativeEndian.Uint16(b[at+undoNumbers+2*i:]))
		}
		u.Sets = append(u.Sets, s)
	}
	return u
}
