package format

import "fmt"

// Limits of BPF objects: some are the kernel's, some what a checkpoint takes.
const (
	MaxAttached         = 64        // BPF_CGROUP_MAX_PROGS, include/linux/bpf-cgroup.h
	maxBPFContent       = 64 << 20  // bytes of a map
	maxBPFSize          = 1 << 20   // of a key or value
	maxBPFName          = 15        // BPF_OBJ_NAME_LEN with its NUL byte
	maxBPFInstructions  = 1_000_000 // BPF_COMPLEXITY_LIMIT_INSNS
	maxBPFCPUs          = 1 << 16
	sizeofBPF           = 8    // sizeof(struct bpf_insn)
	bpfLoadImmediate64  = 0x18 // takes two places
	bpfArray            = 2    // BPF_MAP_TYPE_ARRAY
	bpfPerCPUArray      = 6
	bpfAttachmentFlags  = 1 | 2 // BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI
	maxBPFAttachmentPos = 1 << 10
)

// IsArray says that it has no keys but the indices of its values.
func (m *BpfMap) IsArray() bool { return m.Type == bpfArray || m.Type == bpfPerCPUArray }

// ValueBytes is how long a value in the image is.
func (m *BpfMap) ValueBytes() int {
	if m.Cpus == 0 {
		return int(m.ValueSize)
	}
	return (int(m.ValueSize) + 7) / 8 * 8 * int(m.Cpus)
}

// bpf checks maps and programs, and what is attached where.
func (c *checker) bpf() error {
	for _, m := range c.BpfMaps {
		if m.KeySize == 0 || m.ValueSize == 0 || m.KeySize > maxBPFSize || m.ValueSize > maxBPFSize || m.Cpus > maxBPFCPUs || badName(m.Name, maxBPFName) ||
			len(m.Keys) > maxBPFContent || len(m.Values) > maxBPFContent || m.IsArray() && m.KeySize != 4 {
			return fmt.Errorf("BPF map %d has keys of %d bytes and values of %d for %d CPUs, %d bytes in all", m.Id, m.KeySize, m.ValueSize, m.Cpus, len(m.Keys)+len(m.Values))
		}
		n := len(m.Values) / m.ValueBytes()
		keys := n * int(m.KeySize)
		if m.IsArray() {
			keys = 0
		}
		if len(m.Values)%m.ValueBytes() != 0 || len(m.Keys) != keys {
			return fmt.Errorf("BPF map %d has %d bytes of keys and %d of values, which do not match", m.Id, len(m.Keys), len(m.Values))
		}
	}
	for _, p := range c.BpfPrograms {
		n := len(p.Instructions)
		if n == 0 || n%sizeofBPF != 0 || n > maxBPFInstructions*sizeofBPF || badName(p.Name, maxBPFName) || len(p.Tag) != 8 {
			return fmt.Errorf("BPF program %d is of %d bytes, with a tag of %d", p.Id, n, len(p.Tag))
		}
		for _, r := range p.Maps {
			who := func() string { return fmt.Sprintf("BPF program %d", p.Id) }
			if uint64(r.Instruction) >= uint64(n/sizeofBPF) || p.Instructions[int(r.Instruction)*sizeofBPF] != bpfLoadImmediate64 {
				return fmt.Errorf("%s refers to a map in instruction %d, which loads none", who(), r.Instruction)
			}
			if err := c.want(r.Map, aBpfMap, who); err != nil {
				return err
			}
		}
	}
	for _, a := range c.BpfAttachments {
		who := func() string { return fmt.Sprintf("cgroup %.80q", a.Cgroup) }
		if badPath(a.Cgroup) || a.Type > maxBPFAttachmentPos || a.Flags&^bpfAttachmentFlags != 0 || len(a.Programs) > MaxAttached {
			return fmt.Errorf("%s has %d BPF programs of type %d with flags %#x", who(), len(a.Programs), a.Type, a.Flags)
		}
		for _, id := range a.Programs {
			if err := c.want(id, aBpfProgram, who); err != nil {
				return err
			}
		}
	}
	return nil
}
