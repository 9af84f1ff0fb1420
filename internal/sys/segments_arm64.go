package sys

// ModifyLDT is -1: this CPU has no segments.
var ModifyLDT = -1

// SavesKeys: what a thread of arm64 may do with keys (POR_EL0, Linux 6.12) is not among the registers that are saved.
const SavesKeys = false
