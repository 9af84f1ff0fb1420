package tracee

// Mend has a system call restarted that our stop made fail: some calls return
// EINTR instead of a code for "restart me" when anything interrupts them, a
// tracer or a freezer included (signal(7), "Interruption of system calls and
// library functions by stop signals"), and the program would see an error that
// no signal handler explains. Mend replaces that result by ERESTARTNOHAND: the
// kernel then restarts the call, unless a handler runs after all, and the call
// returns EINTR as it should.
//
// It is for the EventStop of an original, before anything else is done to it.
// A timeout of the call begins anew. On arm64 the kernel shows neither the
// call nor its first argument at such a stop: nothing is mended there.
func (t *Thread) Mend() error {
	r, err := t.Registers()
	if err != nil {
		return err
	}
	if !r.mend() {
		return nil
	}
	return t.SetRegisters(r)
}
