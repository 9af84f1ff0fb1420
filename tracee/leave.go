package tracee

import (
	"fmt"
	"os"
)

// LoadCall sets the registers so that the thread makes a system call by itself
// as soon as it is let go, from an instruction of its program. It is for a call
// that does not return.
func (t *Thread) LoadCall(nr uint64, args ...uint64) error {
	r, err := t.Registers()
	if err != nil {
		return err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.tid))
	if err != nil {
		return err
	}
	defer mem.Close()
	site, err := t.site(mem, &r)
	if err != nil {
		return err
	}
	var a [6]uint64
	copy(a[:], args)
	r.SetPC(site)
	r.PrepareCall(nr, a)
	return t.SetRegisters(r)
}
