package elfcore

import "debug/elf"

// Sizes of ELF's structures, in bytes.
const (
	sizeHeader  = 64
	sizeProgram = 56
	sizeSection = 64
	pnXnum      = 0xffff
)

// fileHeader is the Elf64_Ehdr of a core. sectionAt is 0 if there is no section
// header.
func fileHeader(architecture string, programsAt, sectionAt int64, programs int) []byte {
	machine := elf.EM_X86_64
	if architecture == "arm64" {
		machine = elf.EM_AARCH64
	}
	b := []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT), 0}
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint16(b, uint16(elf.ET_CORE))
	b = le.AppendUint16(b, uint16(machine))
	b = le.AppendUint32(b, uint32(elf.EV_CURRENT))
	b = le.AppendUint64(b, 0) // e_entry
	b = le.AppendUint64(b, uint64(programsAt))
	b = le.AppendUint64(b, uint64(sectionAt))
	b = le.AppendUint32(b, 0) // e_flags
	b = le.AppendUint16(b, sizeHeader)
	b = le.AppendUint16(b, sizeProgram)
	b = le.AppendUint16(b, uint16(min(programs, pnXnum)))
	sections := uint16(0)
	if sectionAt != 0 {
		sections = 1
	}
	b = le.AppendUint16(b, sizeSection)
	b = le.AppendUint16(b, sections)
	return le.AppendUint16(b, 0) // e_shstrndx
}

// programHeaders is the table of Elf64_Phdr.
func programHeaders(loads []segment, page uint64, notesAt int64, notes int) []byte {
	b := make([]byte, 0, (len(loads)+1)*sizeProgram+sizeSection)
	add := func(kind elf.ProgType, flags uint32, s segment, align uint64) {
		b = le.AppendUint32(b, uint32(kind))
		b = le.AppendUint32(b, flags)
		for _, v := range []uint64{uint64(s.offset), s.start, 0, s.inFile, s.size, align} {
			b = le.AppendUint64(b, v)
		}
	}
	add(elf.PT_NOTE, 0, segment{offset: notesAt, inFile: uint64(notes)}, 4)
	for _, s := range loads {
		flags := uint32(0)
		for bit, flag := range []elf.ProgFlag{elf.PF_R, elf.PF_W, elf.PF_X} { // PROT_READ is bit 0, and so on
			if s.prot&(1<<bit) != 0 {
				flags |= uint32(flag)
			}
		}
		if s.inFile == 0 {
			// Not 0: there gdb would find this file's own header, and take
			// what lies in the segment for a file with the same notes.
			s.offset = notesAt
		}
		add(elf.PT_LOAD, flags, s, page)
	}
	return b
}

// sectionHeader is an Elf64_Shdr that says how many program headers there are.
func sectionHeader(programs int) []byte {
	b := make([]byte, sizeSection)
	le.PutUint32(b[44:], uint32(programs)) // sh_info
	return b
}
