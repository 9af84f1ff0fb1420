package vdso

import "math"

// jump is the shortest code that goes from one address to another and changes
// no register: jmp with a distance of 32 bits, or through the 8 bytes behind it.
func jump(from, to uint64) []byte {
	const short = 5
	if distance := int64(to - (from + short)); distance >= math.MinInt32 && distance <= math.MaxInt32 {
		return le.AppendUint32([]byte{0xe9}, uint32(distance))
	}
	return le.AppendUint64([]byte{0xff, 0x25, 0, 0, 0, 0}, to) // jmp [rip]
}
