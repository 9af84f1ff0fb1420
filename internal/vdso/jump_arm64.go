package vdso

// jump is the shortest code that goes from one address to another: a branch, or
// one by x16, which a call may change (AAPCS64, 6.1.1) and by which a function
// that begins with "bti c" may be reached.
func jump(from, to uint64) []byte {
	const reach = 128 << 20
	if distance := int64(to - from); distance >= -reach && distance < reach {
		return le.AppendUint32(nil, 0x14000000|uint32(distance>>2)&0x3ffffff) // b
	}
	b := le.AppendUint32(nil, 0x58000050) // ldr x16, [pc, 8]
	b = le.AppendUint32(b, 0xd61f0200)    // br x16
	return le.AppendUint64(b, to)
}
