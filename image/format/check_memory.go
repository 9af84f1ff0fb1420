package format

import (
	"fmt"
	"math/bits"
)

func (c *checker) memory() error {
	for _, m := range c.SharedMemories {
		if err := c.sharedMemory(m); err != nil {
			return fmt.Errorf("shared memory %d: %w", m.Id, err)
		}
	}
	for _, mm := range c.Mms {
		if err := c.mm(mm); err != nil {
			return fmt.Errorf("address space %d: %w", mm.Id, err)
		}
	}
	return nil
}

func (c *checker) mm(mm *Mm) error {
	page := uint64(c.Header.PageSize)
	if err := c.file(mm.Exe, func() string { return "its program" }); err != nil {
		return err
	}
	if mm.ExeMemory != 0 {
		if err := c.want(mm.ExeMemory, aSharedMemory, func() string { return "its program" }); err != nil {
			return err
		}
	}
	const auxvEntry, maxAuxv = 16, 4096
	if n := len(mm.Auxv); n > maxAuxv || n%auxvEntry != 0 {
		return fmt.Errorf("an auxiliary vector of %d bytes", n)
	}
	if mm.Dumpable > 2 {
		return fmt.Errorf("%d is no value of PR_GET_DUMPABLE", mm.Dumpable)
	}
	if err := c.descriptorTable(mm.DescriptorTable); err != nil {
		return err
	}
	if mm.NarrowVdsoDigest != 0 && c.Header.Architecture != "amd64" {
		return fmt.Errorf("the vdso of a 32-bit program on %s", c.Header.Architecture)
	}
	if err := c.protectionKeys(mm); err != nil {
		return err
	}
	end := uint64(0)
	const mclFuture, mclOnFault = 2, 4
	if f := mm.LockFuture; f != 0 && f != mclFuture && f != mclFuture|mclOnFault {
		return fmt.Errorf("%#x is no order of mlockall for mappings to come", f)
	}
	for _, v := range mm.Vmas {
		if v.Start%page != 0 || v.End%page != 0 || v.Start >= v.End || v.Start < end {
			return fmt.Errorf("mapping %x-%x overlaps another, is out of order, or is none", v.Start, v.End)
		}
		end = v.End
		if err := c.vma(v, page); err != nil {
			return fmt.Errorf("mapping %x-%x: %w", v.Start, v.End, err)
		}
	}
	end = 0
	for _, g := range mm.Guards {
		if g.Start%page != 0 || g.Length%page != 0 || g.Length == 0 || g.Start < end || g.Start+g.Length < g.Start {
			return fmt.Errorf("guard region %x with %d bytes overlaps another, is out of order, or is none", g.Start, g.Length)
		}
		end = g.Start + g.Length
	}
	return nil
}

func (c *checker) vma(v *Vma, page uint64) error {
	if v.Kind == VmaKind_VMA_VSYSCALL {
		return nil // above user space
	}
	if v.End > maxAddress {
		return fmt.Errorf("it lies outside of user space")
	}
	if v.Kind <= VmaKind_VMA_UNSPECIFIED || v.Kind > VmaKind_VMA_PACKET_RING {
		return fmt.Errorf("it is of kind %d, which this version does not know", v.Kind)
	}
	// PROT_READ, PROT_WRITE, PROT_EXEC, arm64's PROT_BTI and PROT_MTE.
	const prot = 7 | 0x10 | 0x20
	if v.Prot&^prot != 0 {
		return fmt.Errorf("protection %#x does not exist", v.Prot)
	}
	if badName(v.Name, 80) { // ANON_VMA_NAME_MAX_LEN
		return fmt.Errorf("its name has %d bytes, or a NUL among them", len(v.Name))
	}
	if v.Droppable && v.Kind != VmaKind_VMA_ANONYMOUS {
		return fmt.Errorf("only anonymous memory can be dropped, and its kind is %v", v.Kind)
	}
	if h := v.HugePageSize; h != 0 && (bits.OnesCount32(h) != 1 || uint64(h) < page || v.Start%uint64(h) != 0 || v.End%uint64(h) != 0) {
		return fmt.Errorf("it can't have huge pages of %d bytes", h)
	}
	if v.Offset%page != 0 || v.Offset > maxFile || v.Offset+(v.End-v.Start) > maxAddress {
		return fmt.Errorf("its offset %#x is no page of a file", v.Offset)
	}
	hasFile := v.Kind == VmaKind_VMA_FILE_PRIVATE || v.Kind == VmaKind_VMA_FILE_SHARED
	if hasFile != (v.File != nil) {
		return fmt.Errorf("its kind %v does not go with whether it has a file", v.Kind)
	}
	who := func() string { return "it" }
	if v.Kind == VmaKind_VMA_IO_URING {
		return c.wantRing(v.OpenFile, who)
	}
	if v.Kind == VmaKind_VMA_PACKET_RING {
		return c.wantPacketRing(v, who)
	}
	if (v.Kind == VmaKind_VMA_AIO) != (v.Aio != nil) {
		return fmt.Errorf("its kind %v does not go with whether it has a ring of events", v.Kind)
	}
	if v.Aio != nil {
		return v.Aio.check(v.End - v.Start)
	}
	if hasFile {
		if err := c.file(v.File, who); err != nil || v.SharedMemory == 0 {
			return err
		}
	}
	if hasFile || v.Kind == VmaKind_VMA_SHARED_ANONYMOUS {
		return c.want(v.SharedMemory, aSharedMemory, who)
	}
	return nil
}
