package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/kernel"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/packetring"
)

// PacketRings are the rings of frames of a packet socket.
type PacketRings struct {
	File    uint32 // OpenFile.id
	Content uint32
	Bytes   []byte // our own mapping: whoever has the Result unmaps it
}

// Close gives the mapping up.
func (r *PacketRings) Close() { _ = unix.Munmap(r.Bytes) }

const noTeller = "checkpoint without --no-bpf, on a kernel with CONFIG_DEBUG_INFO_BTF, from the host's first pid namespace"

// errMoves: the kernel has gone on to another place while we looked.
var errMoves = errors.New("frames come faster than its ring can be looked at")

// lookPacketRings saves the rings of a packet socket, which the kernel has told of
// (packet_diag): where it goes on in them, and their bytes. A frame may come at any
// time; so what is told is of one moment, and a restart takes nothing later from the
// bytes, which are read later.
func (w *walk) lookPacketRings(f *file, fd int, s *format.PacketSocket, diag *packetDiag) (err error) {
	const kind = "packet socket"
	s.Receive, s.Send = diag.receive, diag.send
	position := func(bool) (*kernel.PacketRing, error) { return nil, nil }
	if facts := w.Facts[f.PID]; w.Kernel != nil && facts != nil && facts.Address != 0 && !f.flying {
		k, err := w.Kernel()
		if err != nil {
			return err
		}
		m := kernel.New(k, facts.Address)
		sk, err := m.Socket(facts.Address, uint32(f.number))
		if err != nil {
			return err
		}
		position = func(send bool) (*kernel.PacketRing, error) { return m.PacketRing(sk, send) }
	}
	v3 := s.Version() == unix.TPACKET_V3
	if v3 && s.Send == nil {
		if s.Send, err = hiddenRing(fd, s, position); err != nil {
			return f.refuse(kind, err.Error(), noTeller)
		}
	}
	size := s.RingSize()
	if size == 0 {
		return nil
	}
	b, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if v3 && errors.Is(err, unix.EINVAL) {
		return f.refuse(kind, errHidden.Error(), noTeller)
	}
	if err != nil {
		return fmt.Errorf("map its rings: %w", err)
	}
	rings := &PacketRings{File: f.Id, Content: w.IDs.Next(), Bytes: b}
	s.RingContent = rings.Content
	w.packetRings[f.stat.Ino] = rings
	if r := s.Receive; r != nil {
		look := func() error { return lookFrames(packetring.New(r, s.Version(), b[:r.Size()]), position) }
		if v3 {
			look = func() error { return lookBlocks(packetring.NewBlocks(r, b[:r.Size()]), position) }
		}
		if err := look(); errors.Is(err, errMoves) {
			return f.refuseNow(kind, err.Error(), "try again")
		} else if errors.Is(err, errUnknownPlace) {
			return f.refuse(kind, err.Error(), noTeller)
		} else if err != nil {
			return err
		}
	}
	if r := s.Send; r != nil {
		if err := lookSending(packetring.New(r, s.Version(), b[s.Receive.Size():]), position); errors.Is(err, errMoves) {
			return f.refuseNow(kind, "frames of its ring are being sent", "try again")
		} else if errors.Is(err, errUnknownPlace) {
			return f.refuse(kind, err.Error(), noTeller)
		} else if err != nil {
			return err
		}
	}
	return nil
}

var (
	errUnknownPlace = errors.New("it has a ring of frames, and only eBPF can tell where in it the kernel goes on, which is not there")
	errHidden       = errors.New("it has a ring to send of TPACKET_V3, of which only eBPF can tell, and there is none here")
)

// hiddenRing finds a ring to send of TPACKET_V3, of which packet_diag does not tell
// (pdiag_put_ring, net/packet/diag.c, Linux 6.18).
func hiddenRing(fd int, s *format.PacketSocket, position func(bool) (*kernel.PacketRing, error)) (*format.PacketRing, error) {
	told, err := position(true)
	if err != nil {
		return nil, err
	}
	if told != nil {
		return &format.PacketRing{BlockSize: told.BlockSize, Blocks: told.Blocks, FrameSize: told.FrameSize, Frames: told.Frames}, nil
	}
	if s.Receive != nil {
		return nil, nil // or to map it fails
	}
	// One block of no bytes nobody can have; who has a ring is told so before (packet_set_ring).
	request := make([]byte, 28) // struct tpacket_req3
	binary.NativeEndian.PutUint32(request[4:], 1)
	if err := unix.SetsockoptString(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, string(request)); errors.Is(err, unix.EBUSY) {
		if told, err = position(true); err == nil && told == nil {
			return nil, errHidden
		}
	}
	return nil, nil
}

// lookFrames finds which frame of a ring to receive is filled next, and how many are
// free from there on. The frames that come meanwhile take the place on: at the latest
// when the ring is full it stays.
func lookFrames(r *packetring.Frames, position func(bool) (*kernel.PacketRing, error)) error {
	const often = 100
	for range often {
		told, err := position(false)
		if err != nil {
			return err
		}
		head, known := uint32(0), true
		if told != nil {
			head = told.Head
		} else {
			head, known = r.HeadByTimes()
		}
		if !known || head >= r.Frames {
			return errUnknownPlace
		}
		r.Head, r.Free = head, 0
		for r.Free < r.Frames && r.Status((head+r.Free)%r.Frames) == unix.TP_STATUS_KERNEL {
			r.Free++
		}
		if told == nil {
			return nil
		}
		if now, err := position(false); err != nil || now.Head == head {
			return err
		}
	}
	return errMoves
}

// lookBlocks finds which block of a ring to receive is filled, or opened next.
func lookBlocks(r *packetring.Blocks, position func(bool) (*kernel.PacketRing, error)) error {
	const often = 100
	for range often {
		told, err := position(false)
		if err != nil {
			return err
		}
		switch {
		case told == nil:
			r.FindHead()
		case told.Block.Frozen:
			r.Head, r.Sequence, r.Packets, r.Length = told.Block.Active, told.Block.Sequence, 0, 0
		default:
			r.Head, r.Sequence = told.Block.Active, told.Block.Sequence-1
			r.Packets, r.Length = r.Filled(r.Head)
		}
		if r.Packets == 0 {
			r.Length = 0
		}
		if r.Head >= r.PacketRing.Blocks || r.Sequence == 0 {
			return errUnknownPlace
		}
		r.Free = 0
		for r.Free < r.PacketRing.Blocks && r.Status((r.Head+r.Free)%r.PacketRing.Blocks)&unix.TP_STATUS_USER == 0 {
			r.Free++
		}
		if told == nil {
			return nil
		}
		now, err := position(false)
		if err != nil {
			return err
		}
		if n, _ := r.Filled(r.Head); now.Block == told.Block && (r.Packets == 0 || n == r.Packets) && (r.Free > 0 || told.Block.Frozen) {
			return nil
		}
	}
	return errMoves
}

// lookSending finds which frame of a ring to send is next. What is being sent has
// first to be: the network has its bytes.
func lookSending(r *packetring.Frames, position func(bool) (*kernel.PacketRing, error)) error {
	told, err := position(true)
	if err != nil {
		return err
	}
	switch {
	case told != nil:
		r.Head = told.Head
	case slices.ContainsFunc(r.Bytes, func(b byte) bool { return b != 0 }):
		return errUnknownPlace
	}
	for i := range r.Frames {
		if r.Status(i)&unix.TP_STATUS_SENDING != 0 {
			return errMoves
		}
	}
	return nil
}
