package tracee

// Resume makes it look as if a thread, whose registers say to issue system
// call nr, had been interrupted in it with a restart code: when it is let go,
// the kernel delivers what signals are pending and issues the call again, or
// has it return EINTR, by its own rules (arch_do_signal_or_restart,
// arch/x86/kernel/signal.c).
func (t *Thread) Resume(nr int64, code int) error {
	r, err := t.Registers()
	if err != nil {
		return err
	}
	r.Rip += syscallSize
	r.OrigRax = uint64(nr)
	r.SetResult(-int64(code))
	return t.SetRegisters(r)
}
