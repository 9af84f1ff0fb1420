package format

import (
	"errors"
	"fmt"
)

// maxPacketRing bounds the bytes of a ring of frames: the kernel's own numbers are
// 32 bits wide (packet_set_ring, net/packet/af_packet.c).
const maxPacketRing = 1 << 32

// RingSize is how many bytes the rings of a packet socket have, as mmap(2) shows them.
func (s *PacketSocket) RingSize() uint64 { return s.GetReceive().Size() + s.GetSend().Size() }

// Size is how many bytes a ring has.
func (r *PacketRing) Size() uint64 { return uint64(r.GetBlockSize()) * uint64(r.GetBlocks()) }

// Version is PACKET_VERSION, 0 for TPACKET_V1.
func (s *PacketSocket) Version() int {
	const level, name = 263, 10 // SOL_PACKET, PACKET_VERSION
	for _, o := range s.GetOptions() {
		if o.Level == level && o.Name == name && len(o.Value) == 4 {
			return int(o.Value[0])
		}
	}
	return 0
}

// packetRings are the packet sockets that have rings.
func (c *checker) packetRings() []*PacketSocket {
	var all []*PacketSocket
	for _, o := range c.OpenFiles {
		if s := o.GetPacketSocket(); s.GetRingContent() != 0 {
			all = append(all, s)
		}
	}
	return all
}

func (s *PacketSocket) checkRings() error {
	if (s.RingContent != 0) != (s.Receive != nil || s.Send != nil) {
		return errors.New("has a ring of frames without bytes, or the reverse")
	}
	const latest = 2 // TPACKET_V3
	v := s.Version()
	if v > latest {
		return fmt.Errorf("has rings of version %d", v)
	}
	for _, r := range []*PacketRing{s.Receive, s.Send} {
		if r == nil {
			continue
		}
		if err := r.check(v == latest && r == s.Receive); err != nil {
			return err
		}
	}
	return nil
}

func (r *PacketRing) check(blocks bool) error {
	const page, least, header = 4096, 16, 48 // TPACKET_ALIGNMENT; struct tpacket_block_desc
	if r.BlockSize == 0 || r.BlockSize%page != 0 || r.Blocks == 0 || r.Size() > maxPacketRing ||
		r.FrameSize < least || r.FrameSize%least != 0 || r.FrameSize > r.BlockSize || uint64(r.Frames) != uint64(r.BlockSize/r.FrameSize)*uint64(r.Blocks) {
		return fmt.Errorf("has a ring of %d blocks of %d bytes and %d frames of %d bytes", r.Blocks, r.BlockSize, r.Frames, r.FrameSize)
	}
	places := r.Frames
	if blocks {
		places = r.Blocks
		if r.Sequence == 0 || r.Length > r.BlockSize || r.Packets > 0 && (r.Length < header || r.Free == 0) || r.PrivateSize > r.BlockSize-header {
			return fmt.Errorf("has block %d of a ring with %d frames in %d bytes", r.Sequence, r.Packets, r.Length)
		}
	}
	if r.Head >= places || r.Free > places {
		return fmt.Errorf("has a ring of %d places whose next is number %d, and %d are free", places, r.Head, r.Free)
	}
	return nil
}

// wantPacketRing checks a mapping of the rings of a packet socket.
func (c *checker) wantPacketRing(v *Vma, who func() string) error {
	if err := c.want(v.OpenFile, anOpenFile, who); err != nil {
		return err
	}
	if n := c.OpenFile(v.OpenFile).GetPacketSocket().RingSize(); n == 0 || n != v.End-v.Start || v.Offset != 0 {
		return fmt.Errorf("%s has %d bytes from byte %d on of the rings of open file %d, which have %d", who(), v.End-v.Start, v.Offset, v.OpenFile, n)
	}
	return nil
}
