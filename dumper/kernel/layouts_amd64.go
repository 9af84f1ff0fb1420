package kernel

import (
	"bufio"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
)

// layouts are those that memory may have (Documentation/arch/x86/x86_64/mm.rst): with
// page tables of four levels, of five, and as KASLR has chosen it.
var layouts = []func(m *Memory) pages{
	func(*Memory) pages { return pages{first: 0xffffea0000000000, virtual: 0xffff888000000000} },
	func(*Memory) pages { return pages{first: 0xffd4000000000000, virtual: 0xff11000000000000} },
	func(m *Memory) pages {
		return pages{first: m.variable("vmemmap_base"), virtual: m.variable("page_offset_base")}
	},
}

// variable reads a variable of the kernel of 8 bytes; 0 if that can't be.
func (m *Memory) variable(name string) uint64 {
	b := make([]byte, 8)
	at := symbol(name)
	if at == 0 || m.Read(at, b) != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// symbol is the address of a variable of the kernel, which tells it where it has
// CONFIG_KALLSYMS_ALL; 0: it does not.
func symbol(name string) uint64 {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 3 && fields[2] == name {
			at, _ := strconv.ParseUint(fields[0], 16, 64)
			return at
		}
	}
	return 0
}
