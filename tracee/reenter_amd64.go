package tracee

// afterCall changes registers that say to issue a call to those of a thread that
// has been in call nr, and stopped as after tells.
func (r *Registers) afterCall(after *Registers, nr uint64) {
	r.SetPC(r.PC() + syscallSize)
	r.SetResult(after.Result())
	if after.Interrupted() {
		r.OrigRax = nr
	}
}
