package tracee

// learn and remind have nothing to do on amd64: there the registers say why a
// call was interrupted (Registers.Interrupted).

func (r *Remote) learn() error { return nil }

func (r *Remote) remind() error { return nil }
