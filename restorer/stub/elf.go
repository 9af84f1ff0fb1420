// Package stub makes the processes that a restart begins with: a tiny static
// program that waits, and the means to turn it, from outside, into whatever
// the image says. Nothing of it is left in the end.
package stub

import (
	"encoding/binary"
	"time"
)

// loadAddress is where the program is mapped. It stays there only until it was
// seized: see Begin.
const loadAddress = 0x10000

// ELF is the program, a static executable of this CPU that sleeps as long as that,
// in which it is to be seized, and ends: whoever started it may be gone. One
// loadable segment holds header and code.
func ELF(life time.Duration) []byte {
	const headerSize, segmentSize = 64, 56
	le := binary.LittleEndian
	b := make([]byte, headerSize+segmentSize, 256)
	size := uint64(len(b) + len(sleepCode) + 16)

	copy(b, "\x7fELF\x02\x01\x01")                   // 64 bit, little endian, version 1
	le.PutUint16(b[16:], 2)                          // ET_EXEC
	le.PutUint16(b[18:], machine)                    //
	le.PutUint32(b[20:], 1)                          // version
	le.PutUint64(b[24:], loadAddress+uint64(len(b))) // entry
	le.PutUint64(b[32:], headerSize)                 // program headers
	le.PutUint16(b[52:], headerSize)
	le.PutUint16(b[54:], segmentSize)
	le.PutUint16(b[56:], 1) // one of them

	p := b[headerSize:]
	le.PutUint32(p[0:], 1) // PT_LOAD
	le.PutUint32(p[4:], 5) // readable, executable
	le.PutUint64(p[8:], 0) // offset
	le.PutUint64(p[16:], loadAddress)
	le.PutUint64(p[24:], loadAddress)
	le.PutUint64(p[32:], size)
	le.PutUint64(p[40:], size)
	le.PutUint64(p[48:], 0x10000) // alignment: pages of up to 64 KiB
	b = append(b, sleepCode...)
	b = le.AppendUint64(b, uint64(life/time.Second)) // struct timespec
	return le.AppendUint64(b, 0)
}
