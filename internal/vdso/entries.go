package vdso

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Entry is a function that a vdso offers to programs.
type Entry struct {
	Name   string
	Offset uint64 // from the vdso's begin
	Size   uint64 // bytes
}

var errNoELF = errors.New("it is no ELF file with a table of dynamic symbols")

// Entries finds the functions in a vdso's code, which may come from anywhere:
// a 64-bit ELF file that is mapped as it is (vdso(7)). Those to which the
// kernel lets a signal handler return are not among them: no program calls
// them, and debuggers know them by their bytes.
func Entries(code []byte) ([]Entry, error) {
	e := elfFile(code)
	if len(e) < 64 || string(e[:6]) != "\x7fELF\x02\x01" {
		return nil, errNoELF
	}
	symbols, names, err := e.symbols()
	if err != nil {
		return nil, err
	}
	const symbolSize, function = 24, 2
	var entries []Entry
	for ; len(symbols) >= symbolSize; symbols = symbols[symbolSize:] {
		name, at, size := text(names, le.Uint32(symbols)), le.Uint64(symbols[8:]), le.Uint64(symbols[16:])
		isOurs := strings.HasPrefix(name, "__vdso_") || strings.HasPrefix(name, "__kernel_")
		if symbols[4]&0xf != function || !isOurs || strings.Contains(name, "sigreturn") || !e.has(at, size) {
			continue
		}
		entries = append(entries, Entry{name, at, size})
	}
	return entries, nil
}

var le = binary.LittleEndian

// elfFile is a file of which nothing is believed.
type elfFile []byte

func (e elfFile) has(at, size uint64) bool {
	return at < uint64(len(e)) && size <= uint64(len(e))-at
}

// symbols are the dynamic symbols and the strings that name them, found by the
// table of sections.
func (e elfFile) symbols() (symbols, names []byte, err error) {
	const headerSize, dynamicSymbols = 64, 11
	section := func(i uint64) (b []byte) {
		at := le.Uint64(e[40:]) + i*headerSize
		if i < uint64(le.Uint16(e[60:])) && e.has(at, headerSize) {
			return e[at : at+headerSize]
		}
		return nil
	}
	content := func(header []byte) []byte {
		if header == nil {
			return nil
		}
		at, size := le.Uint64(header[24:]), le.Uint64(header[32:])
		if !e.has(at, size) {
			return nil
		}
		return e[at : at+size]
	}
	for i := uint64(0); ; i++ {
		h := section(i)
		if h == nil {
			return nil, nil, errNoELF
		}
		if le.Uint32(h[4:]) == dynamicSymbols {
			return content(h), content(section(uint64(le.Uint32(h[40:])))), nil
		}
	}
}

// text is the string at a place of a table of strings.
func text(table []byte, at uint32) string {
	if uint64(at) >= uint64(len(table)) {
		return ""
	}
	name, _, _ := strings.Cut(string(table[at:min(len(table), int(at)+64)]), "\x00")
	return name
}
