package kernel

import (
	"encoding/binary"
	"errors"

	"lxc-checkpoint/internal/procfs"
)

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

// References is how many references there are to what has a struct percpu_ref
// (include/linux/percpu-refcount.h): each CPU counts for itself, and the sum is right
// when nobody takes or gives one back.
func (m *Memory) References(ref uint64) (int, error) {
	parts, err := m.word(ref, "percpu_ref", "percpu_count_ptr")
	if err != nil {
		return 0, err
	}
	count, err := m.pointer(ref, "percpu_ref", "data", "percpu_ref_data", "count")
	if err != nil {
		return 0, err
	}
	// In the lowest bits of the pointer: it is counted in one place, and it is dying.
	const atomic, dead, bias = 1, 2, 1 << 63
	if parts&dead != 0 {
		return 0, errors.New("what is counted is about to end")
	}
	if parts&atomic != 0 {
		return int(count), nil
	}
	count -= bias
	cpus, err := procfs.PossibleCPUs()
	if err != nil {
		return 0, err
	}
	for i := range uint32(cpus) {
		part, err := m.perCPU(parts, i)
		if err != nil {
			return 0, err
		}
		b := make([]byte, 8)
		if err := m.Read(part, b); err != nil {
			return 0, err
		}
		count += binary.LittleEndian.Uint64(b)
	}
	return int(int64(count)), nil
}
