package fds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/packetring"
	"lxc-checkpoint/internal/sys"
)

// packetRings are the rings of a packet socket that is being made again.
//
// Program and kernel each go on at a place of their own in a ring, and nobody can set
// the kernel's. So it gets frames of ours over the loopback interface until it is
// there: before the program's bytes are in the ring, and before the socket is bound to
// what it belongs to.
type packetRings struct {
	bytes  []byte             // both, receive first
	frames *packetring.Frames // to receive; nil: there is none, or it is of TPACKET_V3
	blocks *packetring.Blocks // to receive with TPACKET_V3; nil: there is none
	open   uint32             // of blocks: the one that the kernel opens next
	fresh  bool               // the kernel has opened it: it is the first one of all
	late   [4]byte            // its status in the image, which decides when that is
}

// experiment is the protocol of our frames: one for experiments (IEEE 802).
const experiment = 0x88b5

const loopbackIndex = 1 // LOOPBACK_IFINDEX, in every network namespace

// makeRings makes the rings of a packet socket and brings the kernel to where it was
// in them.
func makeRings(fd int, m *format.PacketSocket) (*packetRings, error) {
	v3 := m.Version() == unix.TPACKET_V3
	for _, ring := range []struct {
		*format.PacketRing
		option int
	}{{m.Receive, unix.PACKET_RX_RING}, {m.Send, unix.PACKET_TX_RING}} {
		if ring.PacketRing == nil {
			continue
		}
		if err := unix.SetsockoptString(fd, unix.SOL_PACKET, ring.option, string(ringRequest(ring.PacketRing, v3))); err != nil {
			return nil, fmt.Errorf("make one of %d blocks of %d bytes: %w", ring.Blocks, ring.BlockSize, err)
		}
	}
	b, err := unix.Mmap(fd, 0, int(m.RingSize()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map them: %w", err)
	}
	p := &packetRings{bytes: b}
	if r := m.Receive; r != nil && v3 {
		p.blocks = packetring.NewBlocks(r, b[:r.Size()])
	} else if r != nil {
		p.frames = packetring.New(r, m.Version(), b[:r.Size()])
	}
	if err := sys.AttachFilter(fd, onlyOurs); err != nil {
		return p, err
	}
	if err := withLoopback(fd, func(l *looper) error { return p.advance(fd, m, l) }); err != nil {
		return p, err
	}
	if err := sys.AttachFilter(fd, nothing); err != nil {
		return p, err
	}
	return p, nil
}

// ringRequest is a struct tpacket_req, or tpacket_req3.
func ringRequest(r *format.PacketRing, v3 bool) []byte {
	fields := []uint32{r.BlockSize, r.Blocks, r.FrameSize, r.Frames}
	if v3 {
		fields = append(fields, r.RetireMs, r.PrivateSize, r.Features)
	}
	var b []byte
	for _, f := range fields {
		b = binary.NativeEndian.AppendUint32(b, f)
	}
	return b
}

// Filters of incoming frames (struct sock_filter): one lets those of ours through that
// go out, one lets nothing through. A frame that goes out is in the ring when the call
// that sends it returns.
var (
	onlyOurs = filterCode(
		bpfInstruction{unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, 0, 0, 0xfffff000}, // SKF_AD_OFF + SKF_AD_PROTOCOL
		bpfInstruction{unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, 0, 3, experiment},
		bpfInstruction{unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, 0, 0, 0xfffff004}, // SKF_AD_PKTTYPE
		bpfInstruction{unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, 0, 1, unix.PACKET_OUTGOING},
		bpfInstruction{unix.BPF_RET | unix.BPF_K, 0, 0, 1 << 18},
		bpfInstruction{unix.BPF_RET | unix.BPF_K, 0, 0, 0},
	)
	nothing = filterCode(bpfInstruction{unix.BPF_RET | unix.BPF_K, 0, 0, 0})
)

// advance has the kernel go on in the rings until it is where it was, and empties them.
func (p *packetRings) advance(fd int, m *format.PacketSocket, l *looper) error {
	at := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: loopbackIndex}
	if err := unix.Bind(fd, at); err != nil {
		return fmt.Errorf("bind it to the loopback interface: %w", err)
	}
	var err error
	switch {
	case p.frames != nil:
		err = p.advanceFrames(l)
	case p.blocks != nil:
		err = p.advanceBlocks(l)
	}
	if err != nil {
		return err
	}
	if m.Send != nil {
		if err := sys.AttachFilter(fd, nothing); err != nil {
			return err
		}
		if err := p.advanceSending(fd, m); err != nil {
			return fmt.Errorf("bring the kernel to frame %d of the ring to send: %w", m.Send.Head, err)
		}
	}
	p.clear()
	// The kernel has counted our frames: whoever asks begins anew.
	_, err = sys.GetsockoptBytes(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS, 12)
	return err
}

// clear empties the memory of the rings, but for what keeps the kernel where it is.
func (p *packetRings) clear() {
	if p.blocks == nil {
		clear(p.bytes)
		return
	}
	from, to := p.kept()
	clear(p.bytes[:from])
	clear(p.bytes[to:])
}

// kept is what the image's bytes must not replace: the status of the block that the
// kernel waits for; or the header of the first block, which it has opened.
func (p *packetRings) kept() (from, to uint64) {
	switch {
	case p.blocks == nil:
		return 0, 0
	case p.fresh:
		return 0, packetring.HeaderSize
	}
	at := p.blocks.StatusAt(p.open)
	return at, at + 4
}

func (p *packetRings) advanceFrames(l *looper) error {
	r := p.frames
	for range r.Head {
		if err := l.send(64); err != nil {
			return err
		}
	}
	if r.Head > 0 && (r.Status(r.Head-1)&unix.TP_STATUS_USER == 0 || r.Status(r.Head) != unix.TP_STATUS_KERNEL) {
		return fmt.Errorf("the kernel could not be brought to frame %d: does something on the loopback interface take frames away?", r.Head)
	}
	return nil
}

// advanceBlocks has the kernel fill blocks until it wants the one that is to be opened
// next, which it can't have: that one is not given back to it. So it waits until
// settle.
func (p *packetRings) advanceBlocks(l *looper) error {
	r := p.blocks
	all := r.PacketRing.Blocks
	first, sequence := r.Head, r.Sequence
	if r.Packets > 0 {
		first, sequence = (first+1)%all, sequence+1
	}
	p.open, p.fresh = first, sequence == 1 && first == 0
	if p.fresh {
		return nil
	}
	rounds, own := p.rounds(l, first, sequence)
	if first != 0 {
		r.SetStatus(first, unix.TP_STATUS_USER)
	}
	before := (first + all - 1) % all
	left := own * (rounds + 2) * 2
	for round := uint64(0); ; round++ {
		for r.Status(before)&unix.TP_STATUS_USER == 0 {
			if left--; left == 0 {
				return fmt.Errorf("the kernel could not be brought to block %d: does something on the loopback interface take frames away?", first)
			}
			if err := l.send(l.most); err != nil {
				return err
			}
		}
		if round == rounds {
			return nil
		}
		for i := range all {
			r.SetStatus(i, unix.TP_STATUS_KERNEL)
		}
	}
}

// rounds tells how often all blocks are to be filled for the kernel to number the next
// one as it would have; 0 if that would take too long: then it counts anew. own is how
// many frames of ours fill them all once.
func (p *packetRings) rounds(l *looper, first uint32, sequence uint64) (rounds, own uint64) {
	const mostFrames, mostBytes = 100_000, 1 << 30
	r := p.blocks
	all := uint64(r.PacketRing.Blocks)
	own = all * (uint64(r.BlockSize)/uint64(l.most) + 2)
	next := uint64(first) + 1
	if first == 0 {
		next += all
	}
	if sequence < next || (sequence-next)%all != 0 {
		return 0, own
	}
	rounds = (sequence - next) / all
	if rounds > mostFrames/own || rounds > mostBytes/r.Size() {
		return 0, own
	}
	return rounds, own
}

// advanceSending sends as many frames over the loopback interface as bring the kernel
// to its place.
func (p *packetRings) advanceSending(fd int, m *format.PacketSocket) error {
	r := packetring.New(m.Send, m.Version(), p.bytes[m.Receive.Size():])
	if r.Head == 0 {
		return nil
	}
	// Zeros before it are a virtio_net_hdr that says nothing, where there is one.
	header := 0
	for _, o := range m.Options {
		if o.Level == unix.SOL_PACKET && (o.Name == unix.PACKET_VNET_HDR || o.Name == unix.PACKET_VNET_HDR_SZ) {
			header = max(header, virtioHeader(o))
		}
	}
	data := append(make([]byte, header), ourFrame(64)...)
	for i := range r.Head {
		if !r.PutRequest(i, data) {
			return errors.New("its frames are too small")
		}
	}
	const often = 10_000
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(experiment), Ifindex: loopbackIndex, Halen: 6}
	for range often {
		if err := unix.Sendto(fd, nil, 0, to); err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		sent := true
		for i := range r.Head {
			sent = sent && r.Status(i)&(unix.TP_STATUS_SEND_REQUEST|unix.TP_STATUS_SENDING) == 0
		}
		if sent {
			return nil
		}
	}
	return errors.New("they are not sent")
}

// virtioHeader is how many bytes come before a frame by an option.
func virtioHeader(o *format.SocketOption) int {
	const usual, most = 10, 12 // struct virtio_net_hdr, virtio_net_hdr_mrg_rxbuf
	if len(o.Value) < 4 || o.Value[0] == 0 {
		return 0
	}
	if o.Name == unix.PACKET_VNET_HDR_SZ {
		return min(int(o.Value[0]), most)
	}
	return usual
}

func networkOrder(v uint16) uint16 { return v>>8 | v<<8 }

// ourFrame is one of so many bytes.
func ourFrame(size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint16(b[12:], experiment)
	return b
}

// pour writes bytes of the image.
func (p *packetRings) pour(offset uint64, data []byte) error {
	end := offset + uint64(len(data))
	if end < offset || end > uint64(len(p.bytes)) {
		return fmt.Errorf("the statefile has bytes up to %d of rings that have %d", end, len(p.bytes))
	}
	from, to := p.kept()
	if from >= end || to <= offset {
		copy(p.bytes[offset:], data)
		return nil
	}
	if !p.fresh {
		copy(p.late[:], data[from-offset:])
	}
	copy(p.bytes[offset:from], data)
	copy(p.bytes[to:end], data[to-offset:])
	return nil
}

// settle gives the kernel what was its own, and takes back what it had received while
// the checkpoint was made.
func (p *packetRings) settle() {
	if r := p.frames; r != nil {
		for i := range r.Free {
			r.SetStatus((r.Head+i)%r.Frames, unix.TP_STATUS_KERNEL)
		}
	}
	r := p.blocks
	if r == nil {
		return
	}
	all := r.PacketRing.Blocks
	free, status := r.Free, binary.NativeEndian.Uint32(p.late[:])
	if r.Packets > 0 {
		// As if its time had come: the kernel goes on with the next one.
		r.Close(r.Head, r.Packets, r.Length)
		free--
		if r.Head == p.open {
			return
		}
	}
	for i := uint32(1); i < free; i++ {
		r.SetStatus((p.open+i)%all, unix.TP_STATUS_KERNEL)
	}
	switch {
	case p.fresh:
	case free > 0:
		r.SetStatus(p.open, unix.TP_STATUS_KERNEL)
	default:
		r.SetStatus(p.open, status)
	}
}

// hear replaces our filter by the program's, if that has one.
func (p *packetRings) hear(fd int, m *format.PacketSocket) error {
	_, late := splitOptions(m.Options)
	filtered := func(o *format.SocketOption) bool {
		return o.Level == unix.SOL_SOCKET && o.Name == unix.SO_ATTACH_FILTER
	}
	if slices.ContainsFunc(late, filtered) {
		return setOptions(fd, late)
	}
	// First what else keeps frames away, and last the lock.
	lock := slices.IndexFunc(late, isLock)
	rest := slices.DeleteFunc(slices.Clone(late), isLock)
	if err := setOptions(fd, rest); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil || lock < 0 {
		return err
	}
	return setOptions(fd, late[lock:lock+1])
}

func isLock(o *format.SocketOption) bool {
	return o.Level == unix.SOL_SOCKET && o.Name == unix.SO_LOCK_FILTER
}

func (p *packetRings) close() {
	if p != nil && p.bytes != nil {
		_ = unix.Munmap(p.bytes)
		p.bytes = nil
	}
}

// Pour writes bytes of the image into a ring; false if they are not of one.
func (r *Restart) Pour(owner uint32, offset uint64, data []byte) (bool, error) {
	p := r.packetRings[owner]
	if p == nil || owner == 0 {
		return false, nil
	}
	return true, p.pour(offset, data)
}

// looper sends frames over the loopback interface of a socket's network namespace.
type looper struct {
	fd   int
	most int // bytes of a frame
}

// send sends a frame; when it returns, the rings have it.
func (l *looper) send(size int) error {
	const often = 1000
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(experiment), Ifindex: loopbackIndex, Halen: 6}
	var err error
	for range often {
		err = unix.Sendto(l.fd, ourFrame(size), 0, to)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOBUFS) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("send a frame over the loopback interface: %w", err)
	}
	return nil
}
