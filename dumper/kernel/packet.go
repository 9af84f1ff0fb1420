package kernel

import "os"

// PacketRing is a ring of frames of a packet socket (struct packet_ring_buffer,
// net/packet/internal.h).
type PacketRing struct {
	BlockSize, Blocks, FrameSize, Frames uint32
	Head                                 uint32 // the frame that is filled or sent next
	Block                                PacketBlock
}

// PacketBlock is where the kernel is in a ring of TPACKET_V3 (struct
// tpacket_kbdq_core).
type PacketBlock struct {
	Active   uint32 // the block that is filled or, if it is frozen, opened next
	Sequence uint64 // number of the block that will be opened next
	Frozen   bool   // it waits for the program to give the block back
}

// PacketRing reads the ring to receive, or to send, of a packet socket (struct
// packet_sock); nil if there is none.
func (m *Memory) PacketRing(sk uint64, send bool) (*PacketRing, error) {
	in := "rx_ring."
	if send {
		in = "tx_ring."
	}
	vector, err := m.word(sk, "packet_sock", in+"pg_vec")
	if err != nil || vector == 0 {
		return nil, err
	}
	var r PacketRing
	var pages, last, frozen, active, head, blocks, size, sequence uint64
	for _, f := range []struct {
		name string
		size int
		to   *uint64
	}{
		{"pg_vec_pages", 4, &pages}, {"pg_vec_len", 4, &blocks}, {"frame_size", 4, &size}, {"frame_max", 4, &last}, {"head", 4, &head},
		{"prb_bdqc.kactive_blk_num", 2, &active}, {"prb_bdqc.knxt_seq_num", 8, &sequence}, {"prb_bdqc.reset_pending_on_curr_blk", 1, &frozen},
	} {
		if *f.to, err = m.number(sk, "packet_sock", in+f.name, f.size); err != nil {
			return nil, err
		}
	}
	r.BlockSize, r.Blocks = uint32(pages)*uint32(os.Getpagesize()), uint32(blocks)
	r.FrameSize, r.Frames, r.Head = uint32(size), uint32(last)+1, uint32(head)
	r.Block = PacketBlock{Active: uint32(active), Sequence: sequence, Frozen: frozen != 0}
	return &r, nil
}
