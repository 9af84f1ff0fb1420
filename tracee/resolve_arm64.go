package tracee

// restarted has nothing to find: see Registers.Interrupted.
func (t *Thread) restarted(*Registers) (nr uint32, ok bool) { return 0, false }

func (r *Registers) restartAs(uint32) {}
