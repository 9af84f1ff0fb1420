package tasks

import (
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// batch collects calls for a task, with the memory that their arguments point
// to, so that they are made in one stop.
type batch struct {
	calls  []tracee.Call
	about  []string // what each is for, for messages
	memory []byte   // goes to the begin of the scratch memory
}

func (b *batch) add(about string, nr uint64, args ...uint64) {
	c := tracee.Call{Nr: nr}
	copy(c.Args[:], args)
	b.calls, b.about = append(b.calls, c), append(b.about, about)
}

// put returns the address that data will have in the task.
func (b *batch) put(p place.Process, data []byte) uint64 {
	for len(b.memory)%8 != 0 {
		b.memory = append(b.memory, 0)
	}
	addr, _ := p.Scratch()
	addr += uint64(len(b.memory))
	b.memory = append(b.memory, data...)
	return addr
}

// run makes the calls, and begins anew.
func (b *batch) run(p place.Process) error {
	if len(b.memory) > 0 {
		addr, _ := p.Scratch()
		if err := p.Write(addr, b.memory); err != nil {
			return err
		}
	}
	calls, about := b.calls, b.about
	*b = batch{}
	return runAll(p, calls, func(i int) string { return about[i] })
}
