package view

// Kernel reads the kernel's memory, for what no file and no call tells
// (dumper/bpf).
type Kernel interface {
	Read(address uint64, b []byte) error
	// Member is where a member of a structure lies; "a.b" is one inside of one.
	Member(structure, name string) (uint32, error)
	// Bit is where a field of one bit lies.
	Bit(structure, name string) (at uint32, bit uint8, err error)
	Size(structure string) (uint32, error)
	// PerCPU is where a CPU has its part of what the kernel keeps for each: of the
	// first element of a map of ours, open as fd.
	PerCPU(cpu uint32) (fd int, address uint64, err error)
}
