package tracee

// Some calls have a limit to their time, and when something interrupts them, nothing
// of it is written down anywhere: neither in the kernel nor in the program's memory.
// Issued again, they begin with their whole time. But who knows what remained (the
// eBPF program in dumper/bpf/deadlines.go) can have them begin with that, if the
// register that holds the limit, or points to it, may be changed.

// Stack says where a thread wants the frames of its signal handlers
// (sigaltstack(2)); Size is 0 if on the stack that it is on.
type Stack struct{ Pointer, Size uint64 }
