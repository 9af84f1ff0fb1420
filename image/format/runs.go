package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Runs are runs of pages by address, as Inherited.runs has them.
type Runs struct {
	b          []byte
	page       uint64
	end        uint64 // of the last run that is in b
	start, now uint64 // the run that may still grow: start to now
}

// NewRuns begins a list of runs; page is the size of a page in bytes.
func NewRuns(page uint64) *Runs { return &Runs{page: page} }

// Add adds pages behind all that were added before. It returns how many runs it
// began: 0 or 1.
func (r *Runs) Add(start, length uint64) int {
	if start == r.now && r.now > r.start {
		r.now += length
		return 0
	}
	r.flush()
	r.start, r.now = start, start+length
	return 1
}

func (r *Runs) flush() {
	if r.now == r.start {
		return
	}
	r.b = binary.AppendUvarint(r.b, (r.start-r.end)/r.page)
	r.b = binary.AppendUvarint(r.b, (r.now-r.start)/r.page)
	r.end = r.now
	r.start = r.now
}

// Bytes is the list as a message has it.
func (r *Runs) Bytes() []byte {
	r.flush()
	return r.b
}

// EachRun gives the runs of a list that Check has passed: start and end.
func EachRun(runs []byte, page uint64) iter.Seq2[uint64, uint64] {
	return func(yield func(uint64, uint64) bool) {
		at := uint64(0)
		for len(runs) > 0 {
			skip, n := binary.Uvarint(runs)
			if n <= 0 {
				return
			}
			size, m := binary.Uvarint(runs[n:])
			if m <= 0 {
				return
			}
			runs = runs[n+m:]
			start := at + skip*page
			at = start + size*page
			if !yield(start, at) {
				return
			}
		}
	}
}

// maxRuns is how many runs a skeleton may have altogether.
const maxRuns = MaxObjects

// checkRuns checks a list of runs; it returns how many there are.
func checkRuns(runs []byte, page uint64) (count int, err error) {
	at, most := uint64(0), uint64(maxAddress)/page // in pages
	for len(runs) > 0 {
		skip, n := binary.Uvarint(runs)
		if n <= 0 {
			return 0, errors.New("a run of pages has no begin")
		}
		size, m := binary.Uvarint(runs[n:])
		if m <= 0 || size == 0 {
			return 0, errors.New("a run of pages has no length")
		}
		if skip > most-at || size > most-at-skip || skip == 0 && at > 0 {
			return 0, fmt.Errorf("the run of %d pages after page %#x lies outside of user space, or is part of the one before", size, at)
		}
		at += skip + size
		runs = runs[n+m:]
		count++
	}
	if count == 0 {
		return 0, errors.New("there are no pages")
	}
	return count, nil
}

// A Fork is one that a restart makes: the process of number By makes PID.
type Fork struct {
	PID, By uint32
	// SharesMemory: it is no copy, CLONE_VM.
	SharesMemory bool
}

// InheritError says that a restart can't have pages inherited as the skeleton
// says.
type InheritError struct {
	ID  uint32 // of the Inherited
	Why string
}

func (e *InheritError) Error() string {
	return fmt.Sprintf("pages %d can't be inherited as they were: %s", e.ID, e.Why)
}
