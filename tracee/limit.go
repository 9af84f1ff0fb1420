package tracee

// Some calls have a limit to their time, and when something interrupts them, nothing
// of it is written down anywhere: neither in the kernel nor in the program's memory.
// Issued again, they begin with their whole time. But who knows what remained (the
// eBPF program in dumper/bpf/deadlines.go) can have them begin with that, if the
// register that holds the limit, or points to it, may be changed.

// Stack says where a thread wants the frames of its signal handlers
// (sigaltstack(2)); Size is 0 if on the stack that it is on.
type Stack struct{ Pointer, Size uint64 }

// frame is an address where the frame of a signal handler might come to lie at any
// time, so that the program has nothing there: room for a struct timespec. ok is
// false if there is none.
func (s Stack) frame(sp uint64) (at uint64, ok bool) {
	const (
		below = 512 // the frame begins with the FPU's state, which is longer
		room  = 64
	)
	switch off := sp - s.Pointer; {
	case s.Size == 0:
		at = sp - below
	case off >= s.Size: // it is not on it
		if s.Size < below {
			return 0, false
		}
		at = s.Pointer + s.Size - room
	case off < below:
		return 0, false // so far down that a handler would not fit
	default:
		at = sp - below
	}
	return at &^ 15, at < sp || s.Size > 0
}
