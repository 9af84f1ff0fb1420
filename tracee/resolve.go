package tracee

// Resolved are registers that can be given to another thread.
type Resolved struct {
	Registers
	// Interrupted: the stop interrupted the system call Call, and the
	// registers say to issue it again.
	Interrupted bool
	Call        int64
}

// Resolved reads the registers of an original in its EventStop and resolves a
// system call in flight, as Registers.Resolve does. The thread itself is not
// changed.
func (t *Thread) Resolved() (Resolved, error) {
	regs, err := t.Registers()
	if err != nil {
		return Resolved{}, err
	}
	// A call that the kernel was restarting can be issued anew if its number
	// can still be found: then the program does not even see an EINTR.
	if nr, ok := t.restarted(&regs); ok {
		regs.restartAs(nr)
	}
	r := Resolved{Registers: regs}
	r.Call, r.Interrupted = r.Resolve()
	return r, nil
}
