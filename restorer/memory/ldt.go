package memory

import (
	"encoding/binary"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/restorer/place"
	"lxc-checkpoint/tracee"
)

// setLDT has a process write the local descriptor table of its address space, as late
// as this: a child inherits that of its maker.
func setLDT(p place.Process, mm *format.Mm) error {
	const write, size = 0x11, 16 // of struct user_desc
	at, room := p.Scratch()
	if sys.ModifyLDT < 0 || len(mm.DescriptorTable) == 0 {
		return nil
	}
	var entries []byte
	var calls []tracee.Call
	flush := func() error {
		if len(calls) == 0 {
			return nil
		}
		if err := p.Write(at, entries); err != nil {
			return err
		}
		err := place.RunAll(p, calls)
		entries, calls = nil, nil
		return err
	}
	for i := 0; i+8 <= len(mm.DescriptorTable); i += 8 {
		d := binary.LittleEndian.Uint64(mm.DescriptorTable[i:])
		if d == 0 {
			continue
		}
		calls = append(calls, tracee.Call{Nr: uint64(sys.ModifyLDT), Args: [6]uint64{write, at + uint64(len(entries)), size}})
		entries = appendUserDesc(entries, uint32(i/8), d)
		if len(entries)+size > int(room) || len(calls) == 100 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// appendUserDesc appends the struct user_desc from which the kernel makes a descriptor
// (fill_ldt, arch/x86/include/asm/desc.h).
func appendUserDesc(b []byte, number uint32, d uint64) []byte {
	bit := func(n int) uint32 { return uint32(d>>n) & 1 }
	base := uint32(d>>16)&0xffffff | uint32(d>>56)<<24
	limit := uint32(d)&0xffff | uint32(d>>48)&0xf<<16
	const bit32, contents, readOnly, inPages, notPresent, usable = 0, 1, 3, 4, 5, 6
	flags := bit(54)<<bit32 | (bit(42)|bit(43)<<1)<<contents | (bit(41)^1)<<readOnly | bit(55)<<inPages | (bit(47)^1)<<notPresent | bit(52)<<usable
	for _, w := range []uint32{number, base, limit, flags} {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}
