package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"lxc-checkpoint/internal/procfs"
)

// AioContext is a context of io_setup(2) (struct kioctx, fs/aio.c).
type AioContext struct {
	Address  uint64 // of its ring in the program, by which that calls it
	ID       uint32
	UnderWay int // requests that have not completed
}

// AioContexts lists those of a task's address space.
func (m *Memory) AioContexts(task uint64) (all []AioContext, err error) {
	table, err := m.pointer(task, "task_struct", "mm", "mm_struct", "ioctx_table")
	if err != nil || table == 0 {
		return nil, err
	}
	n, err := m.number(table, "kioctx_table", "nr", 4)
	if err != nil {
		return nil, err
	}
	const most = 1 << 16
	if n > most {
		return nil, errors.New("a table of contexts of the kernel makes no sense")
	}
	at, err := m.member(table, "kioctx_table", "table")
	if err != nil {
		return nil, err
	}
	b := make([]byte, 8*n)
	if err := m.Read(at, b); err != nil {
		return nil, err
	}
	for ; len(b) > 0; b = b[8:] {
		if at := binary.LittleEndian.Uint64(b); at != 0 {
			c, err := m.aioContext(at)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// aioContext reads a context. Each place in its ring that is not free is a request's
// under way, or an event's that the kernel has not counted as read; what is free,
// CPUs may keep for themselves.
func (m *Memory) aioContext(at uint64) (c AioContext, err error) {
	var id, places, free, completed, cpu uint64
	for _, f := range []struct {
		name string
		size int
		to   *uint64
	}{
		{"user_id", 8, &c.Address}, {"id", 4, &id}, {"nr_events", 4, &places}, {"reqs_available", 4, &free},
		{"completed_events", 4, &completed}, {"cpu", 8, &cpu},
	} {
		if *f.to, err = m.number(at, "kioctx", f.name, f.size); err != nil {
			return c, err
		}
	}
	c.ID = uint32(id)
	cpus, err := procfs.PossibleCPUs()
	if err != nil {
		return c, err
	}
	for i := range uint32(cpus) {
		part, err := m.perCPU(cpu, i)
		if err != nil {
			return c, err
		}
		kept, err := m.number(part, "kioctx_cpu", "reqs_available", 4)
		if err != nil {
			return c, err
		}
		free += kept
	}
	c.UnderWay = int(places) - 1 - int(free) - int(completed)
	if c.UnderWay < 0 {
		return c, fmt.Errorf("of %d places of a ring %d are free, and %d taken", places-1, free, completed)
	}
	return c, nil
}
