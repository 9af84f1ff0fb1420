// Package frame is the framing of a statefile: a plain sequence of zstd frames
// (RFC 8878) in the zstd seekable format, closed by two skippable frames, one
// with a digest of all that precedes it and one with the seek table.
package frame

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// Limits that both sides keep, in bytes.
const (
	// MaxPages is the most page bytes in one record.
	MaxPages = 1 << 20
	// MaxRecord is the most that one record may have: a process of twenty
	// thousand threads. zstd(1) decompresses frames of up to 128 MiB unasked.
	MaxRecord = 64 << 20
	// Target is what a frame of skeleton records is filled to, decompressed.
	Target = 1 << 20
	// MaxSkeleton is the most that all records of the skeleton may have.
	MaxSkeleton = 1 << 30
	// MaxSkeletonFrame and MaxContentFrame are the most that one frame may hold,
	// decompressed: in the skeleton, and after it (where the record that ends a
	// statefile has about 40 bytes for each address space).
	MaxSkeletonFrame = MaxRecord + 16
	MaxContentFrame  = 16 << 20
)

// Magic numbers of the frames, little endian (RFC 8878, 3.1; the seekable
// format's specification).
const (
	MagicZstd      = 0xFD2FB528
	MagicDigest    = 0x184D2A5C // a skippable frame of our own
	MagicSeekTable = 0x184D2A5E
	magicFooter    = 0x8F92EAB1
)

const (
	headerSize = 8 // of a skippable frame: magic, size
	// DigestSize is the size of the frame with the digest: its header, "LXCS",
	// and XXH3-128, big endian, of all bytes before the frame.
	DigestSize = headerSize + 4 + 16
	entrySize  = 8 // compressed size, decompressed size
	footerSize = 9 // number of entries, descriptor, magic
)

// Entry is a frame in the seek table.
type Entry struct{ Compressed, Decompressed uint32 }

// Digest is the frame with the digest.
func Digest(sum xxh3.Uint128) []byte {
	b := make([]byte, DigestSize)
	binary.LittleEndian.PutUint32(b, MagicDigest)
	binary.LittleEndian.PutUint32(b[4:], DigestSize-headerSize)
	copy(b[8:], "LXCS")
	binary.BigEndian.PutUint64(b[12:], sum.Hi)
	binary.BigEndian.PutUint64(b[20:], sum.Lo)
	return b
}

// SeekTable is the last frame of a statefile: the seek table of all frames
// before it, those of the digest included (with no decompressed bytes).
func SeekTable(entries []Entry) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, headerSize+len(entries)*entrySize+footerSize)
	b = le.AppendUint32(b, MagicSeekTable)
	b = le.AppendUint32(b, uint32(len(entries)*entrySize+footerSize))
	for _, e := range entries {
		b = le.AppendUint32(b, e.Compressed)
		b = le.AppendUint32(b, e.Decompressed)
	}
	b = le.AppendUint32(b, uint32(len(entries)))
	b = append(b, 0) // descriptor: no checksums, zstd's own are in the frames
	return le.AppendUint32(b, magicFooter)
}

// ParseSeekTable finds the entries of the seek table that b ends with; nil if
// it does not end with one.
func ParseSeekTable(b []byte) []Entry {
	le := binary.LittleEndian
	if len(b) < headerSize+footerSize || le.Uint32(b[len(b)-4:]) != magicFooter {
		return nil
	}
	n := uint64(le.Uint32(b[len(b)-footerSize:]))
	size := headerSize + n*entrySize + footerSize
	if size > uint64(len(b)) || le.Uint32(b[uint64(len(b))-size:]) != MagicSeekTable {
		return nil
	}
	b = b[uint64(len(b))-size+headerSize:]
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{le.Uint32(b[i*entrySize:]), le.Uint32(b[i*entrySize+4:])}
	}
	return entries
}

// PagesSum is what ContentSum.digest adds up for one record.
func PagesSum(offset uint64, round uint32, data []byte) uint64 {
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:], offset)
	binary.LittleEndian.PutUint64(head[8:], uint64(round))
	var h xxh3.Hasher
	h.Write(head[:])
	h.Write(data)
	return h.Sum64()
}
