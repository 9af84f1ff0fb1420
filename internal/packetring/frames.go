// Package packetring reads and writes the rings of frames that packet sockets share
// with programs (include/uapi/linux/if_packet.h).
package packetring

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// Frames is a ring whose places are frames: of TPACKET_V1 or V2, or to send.
type Frames struct {
	*format.PacketRing
	Bytes   []byte
	version int
}

// New is a ring of a version of PACKET_VERSION in memory of ours.
func New(r *format.PacketRing, version int, b []byte) *Frames {
	return &Frames{r, b, version}
}

// frame is the memory of a frame: none goes over the border of a block.
func (r *Frames) frame(i uint32) []byte {
	in := r.BlockSize / r.FrameSize // of each block
	at := uint64(i/in)*uint64(r.BlockSize) + uint64(i%in)*uint64(r.FrameSize)
	return r.Bytes[at : at+uint64(r.FrameSize)]
}

// statusAt is where in a frame its tp_status is: of TPACKET_V1 it is an unsigned
// long, whose upper half nobody uses.
func (r *Frames) statusAt() int {
	if r.version == unix.TPACKET_V3 {
		return 20
	}
	return 0
}

// Status is the tp_status of a frame.
func (r *Frames) Status(i uint32) uint32 {
	return binary.NativeEndian.Uint32(r.frame(i)[r.statusAt():])
}

// SetStatus sets it, and hands the frame to the kernel or to the program.
func (r *Frames) SetStatus(i, status uint32) {
	store(r.frame(i)[r.statusAt():], status)
}

// HeaderSize is how many bytes of a frame come before what is sent (tp_hdrlen -
// sizeof(struct sockaddr_ll), tpacket_fill_skb).
func (r *Frames) HeaderSize() int {
	if r.version == unix.TPACKET_V3 {
		return 48
	}
	return 32
}

// PutRequest writes a frame that is to be sent, with its tp_len.
func (r *Frames) PutRequest(i uint32, data []byte) bool {
	b := r.frame(i)
	if r.HeaderSize()+len(data) > len(b) {
		return false
	}
	copy(b[r.HeaderSize():], data)
	lengthAt := map[int]int{unix.TPACKET_V1: 8, unix.TPACKET_V2: 4, unix.TPACKET_V3: 16}[r.version]
	binary.NativeEndian.PutUint32(b[lengthAt:], uint32(len(data)))
	r.SetStatus(i, unix.TP_STATUS_SEND_REQUEST)
	return true
}

// time is when the kernel has filled a frame; 0: never.
func (r *Frames) time(i uint32) uint64 {
	b, at := r.frame(i), 16 // tp_sec and tp_nsec of V2
	if r.version == unix.TPACKET_V1 {
		at = 20 // tp_sec and tp_usec
	}
	return uint64(binary.NativeEndian.Uint32(b[at:]))<<32 | uint64(binary.NativeEndian.Uint32(b[at+4:]))
}

// HeadByTimes tells which frame is filled next by the times that the kernel has left
// in all of them: it is the one after the newest. False if they are not in order.
func (r *Frames) HeadByTimes() (uint32, bool) {
	falls, head := 0, uint32(0)
	for i := range r.Frames {
		next := (i + 1) % r.Frames
		if r.time(next) < r.time(i) {
			falls++
			head = next
		}
	}
	if falls == 0 {
		return 0, r.time(0) == 0 || r.Frames == 1
	}
	return head, falls == 1
}
