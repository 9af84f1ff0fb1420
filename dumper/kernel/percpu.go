package kernel

import "encoding/binary"

// perCPU is where a CPU has its part of what a pointer of the kernel's to such parts
// points to (__percpu): those of all pointers lie as far from it as those of the
// first element of a map of ours, of which both are known.
func (m *Memory) perCPU(pointer uint64, cpu uint32) (uint64, error) {
	fd, address, err := m.PerCPU(cpu)
	if err != nil {
		return 0, err
	}
	task, err := m.ourselves()
	if err != nil {
		return 0, err
	}
	file, err := m.file(task, uint32(fd))
	if err != nil {
		return 0, err
	}
	array, err := m.word(file, "file", "private_data") // struct bpf_map, which begins a bpf_array
	if err != nil {
		return 0, err
	}
	at, err := m.member(array, "bpf_array", "pptrs")
	if err != nil {
		return 0, err
	}
	b := make([]byte, 8)
	if err := m.Read(at, b); err != nil {
		return 0, err
	}
	return pointer + address - binary.LittleEndian.Uint64(b), nil
}
