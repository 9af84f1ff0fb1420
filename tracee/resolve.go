package tracee

// Resolved are registers that can be given to another thread.
type Resolved struct {
	Registers
	// Interrupted: the stop interrupted the system call Call, and the
	// registers say to issue it again.
	Interrupted bool
	Call        int64
	// Code is how the kernel would restart it (ERESTARTSYS, ERESTARTNOINTR or
	// ERESTARTNOHAND), see Resume; 0 where the kernel does not tell (arm64).
	Code int
}

// Resolved reads the registers of an original in its EventStop and resolves a
// system call in flight, as Registers.Resolve does. The thread itself is not
// changed. A call that the kernel was restarting can be issued anew if its
// number is known, or can still be found: then the program does not even see an
// EINTR. known is that number, 0 if it is not known.
func (t *Thread) Resolved(known uint32) (Resolved, error) {
	regs, err := t.InFlight()
	if err != nil {
		return Resolved{}, err
	}
	if nr, _ := regs.Syscall(); uint64(nr) == regs.restartNumber() && regs.Interrupted() {
		if known == 0 {
			known = t.numberInCode(&regs)
		}
		regs.restartAs(known)
	}
	code := int(-regs.Result())
	if code == erestartRestartBlock {
		code = erestartNoHand // without the block, it is issued anew unless a handler runs
	}
	r := Resolved{Registers: regs}
	if r.Call, r.Interrupted = r.Resolve(); r.Interrupted && r.issuedAgain(&regs) {
		r.Code = code
	}
	return r, nil
}

// issuedAgain says whether Resolve has rewound the registers that were before.
func (r *Resolved) issuedAgain(before *Registers) bool { return r.PC() != before.PC() }
