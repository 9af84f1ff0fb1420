package packetring

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// Blocks is a ring of TPACKET_V3 to receive.
type Blocks struct {
	*format.PacketRing
	Bytes []byte
}

// HeaderSize is that of a block (struct tpacket_block_desc).
const HeaderSize = 48

// Where what is in it.
const (
	statusAt, packetsAt, firstAt, lengthAt, sequenceAt, lastTimeAt = 8, 12, 16, 20, 24, 40
	blockTimeout                                                   = 1 << 5 // TP_STATUS_BLK_TMO
)

// NewBlocks is a ring in memory of ours.
func NewBlocks(r *format.PacketRing, b []byte) *Blocks { return &Blocks{r, b} }

func (r *Blocks) block(i uint32) []byte {
	at := uint64(i) * uint64(r.BlockSize)
	return r.Bytes[at : at+uint64(r.BlockSize)]
}

// StatusAt is where in the ring the status of a block is.
func (r *Blocks) StatusAt(i uint32) uint64 { return uint64(i)*uint64(r.BlockSize) + statusAt }

// Status is the block_status of a block.
func (r *Blocks) Status(i uint32) uint32 { return load(r.block(i)[statusAt:]) }

// SetStatus sets it, and hands the block to the kernel or to the program.
func (r *Blocks) SetStatus(i, status uint32) { store(r.block(i)[statusAt:], status) }

// Filled is how many frames are in a block, and how many bytes they and its header
// take.
func (r *Blocks) Filled(i uint32) (packets, length uint32) {
	b := r.block(i)
	return binary.NativeEndian.Uint32(b[packetsAt:]), min(binary.NativeEndian.Uint32(b[lengthAt:]), r.BlockSize)
}

// last finds the last of the frames of a block; nil if they are not in it.
func (r *Blocks) last(i, packets uint32) []byte {
	b := r.block(i)
	const header = 48 // struct tpacket3_hdr
	at := uint64(binary.NativeEndian.Uint32(b[firstAt:]))
	for n := uint32(1); ; n++ {
		if at+header > uint64(len(b)) {
			return nil
		}
		if n >= packets {
			return b[at:]
		}
		next := uint64(binary.NativeEndian.Uint32(b[at:])) // tp_next_offset
		if next == 0 {
			return nil
		}
		at += next
	}
}

// FindHead tells by the numbers of the blocks which one is filled, or opened next. The
// kernel gives a block its number when it opens it. In one that is open each frame
// says where the next one will be; when it is closed, the last one does not (struct
// tpacket3_hdr, prb_close_block): so one that the program has given back is told from
// one that is being filled.
func (r *Blocks) FindHead() {
	newest, sequence := uint32(0), uint64(0)
	for i := range r.PacketRing.Blocks {
		if n := binary.NativeEndian.Uint64(r.block(i)[sequenceAt:]); n > sequence {
			newest, sequence = i, n
		}
	}
	packets, length := r.Filled(newest)
	last := r.last(newest, packets)
	if r.Status(newest)&unix.TP_STATUS_USER != 0 || packets > 0 && last != nil && binary.NativeEndian.Uint32(last) == 0 {
		r.Head, r.Sequence, r.Packets, r.Length = (newest+1)%r.PacketRing.Blocks, sequence+1, 0, 0
		return
	}
	r.Head, r.Sequence, r.Packets, r.Length = newest, sequence, packets, length
}

// Close has a block that was being filled be one that the kernel has closed since
// nothing more came.
func (r *Blocks) Close(i, packets, length uint32) {
	b, ne := r.block(i), binary.NativeEndian
	if last := r.last(i, packets); last != nil {
		copy(b[lastTimeAt:lastTimeAt+8], last[4:12]) // tp_sec, tp_nsec
		ne.PutUint32(last, 0)
	}
	ne.PutUint32(b[packetsAt:], packets)
	ne.PutUint32(b[lengthAt:], length)
	r.SetStatus(i, unix.TP_STATUS_USER|blockTimeout)
}

// What the kernel and we share is read and written at once.
func load(b []byte) uint32     { return atomic.LoadUint32((*uint32)(unsafe.Pointer(&b[0]))) }
func store(b []byte, v uint32) { atomic.StoreUint32((*uint32)(unsafe.Pointer(&b[0])), v) }
