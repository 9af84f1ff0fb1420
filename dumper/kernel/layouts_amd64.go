package kernel

// layouts are those that memory may have (Documentation/arch/x86/x86_64/mm.rst): with
// page tables of four levels, of five, and as KASLR has chosen it.
var layouts = []func(m *Memory) pages{
	func(*Memory) pages { return pages{first: 0xffffea0000000000, virtual: 0xffff888000000000} },
	func(*Memory) pages { return pages{first: 0xffd4000000000000, virtual: 0xff11000000000000} },
	func(m *Memory) pages {
		return pages{first: m.variable("vmemmap_base"), virtual: m.variable("page_offset_base")}
	},
}
