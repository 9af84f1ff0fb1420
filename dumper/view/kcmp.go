package view

import (
	"fmt"
	"slices"

	"lxc-checkpoint/internal/sys"
)

// Classes tells which tasks share one object of a kind (memory, descriptor
// table, fs, signal actions) and numbers the objects. Without their addresses it
// asks kcmp(2), whose order makes a search of log n questions for each task.
type Classes struct {
	what   sys.KcmpType
	ids    *IDs
	at     map[uint64]uint32
	sorted []class
}

// class is an object and a task that has it.
type class struct {
	tid int
	id  uint32
}

// NewClasses begins with no object. what is one of sys.KcmpVM, KcmpFiles,
// KcmpFS, KcmpSighand.
func NewClasses(what sys.KcmpType, ids *IDs) *Classes {
	return &Classes{what: what, ids: ids, at: map[uint64]uint32{}}
}

// Of returns the number of the task's object (tid is the host's); fresh if no
// task asked for before has it. address is the kernel's of the object, 0 if
// nobody tells: of all tasks or of none. The tasks MUST live, stopped, as long as
// the Classes are used.
func (c *Classes) Of(tid int, address uint64) (id uint32, fresh bool, err error) {
	if address != 0 {
		id, known := c.at[address]
		if !known {
			id = c.ids.Next()
			c.at[address] = id
		}
		return id, !known, nil
	}
	at, found := slices.BinarySearchFunc(c.sorted, tid, func(k class, tid int) int {
		if err != nil {
			return 0
		}
		var order int
		order, err = sys.Kcmp(k.tid, tid, c.what, 0, 0)
		switch {
		case err != nil:
			err = fmt.Errorf("compare task %d with task %d (kcmp; the kernel needs CONFIG_KCMP): %w", tid, k.tid, err)
		case order == 1:
			return -1
		case order == 2:
			return 1
		case order != 0:
			err = fmt.Errorf("compare task %d with task %d: kcmp gives no order (%d)", tid, k.tid, order)
		}
		return 0
	})
	if err != nil {
		return 0, false, err
	}
	if found {
		return c.sorted[at].id, false, nil
	}
	id = c.ids.Next()
	c.sorted = slices.Insert(c.sorted, at, class{tid, id})
	return id, true, nil
}

// Same says whether two tasks share the object.
func (c *Classes) Same(tid1, tid2 int) (bool, error) {
	if tid1 == tid2 {
		return true, nil
	}
	order, err := sys.Kcmp(tid1, tid2, c.what, 0, 0)
	if err != nil {
		return false, fmt.Errorf("compare task %d with task %d (kcmp; the kernel needs CONFIG_KCMP): %w", tid1, tid2, err)
	}
	return order == 0, nil
}
