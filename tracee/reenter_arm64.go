package tracee

// afterCall changes registers that say to issue a call to those of a thread that
// has been in it, and stopped as after tells: the kernel has rewound it already
// if the call is to go on.
func (r *Registers) afterCall(after *Registers, _ uint64) {
	r.SystemCall = -1
	if after.Pc != r.Pc {
		r.SetPC(after.Pc)
		r.SetResult(after.Result())
	}
}
