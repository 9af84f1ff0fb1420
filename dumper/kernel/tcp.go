package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Waiting is a TCP connection that waits to be accepted (struct tcp_sock): no
// descriptor leads to it.
type Waiting struct {
	State         uint8
	Local, Remote netip.AddrPort

	Send, Receive  uint32 // the next byte to be sent (none has been), and to be read
	Unread         []byte
	Window         uint32 // the peer's
	MaximumSegment uint16

	WindowScaling            bool
	SendScale, ReceiveScale  uint8
	SelectiveAcknowledgement bool
	// Error is what the program will hear of; EPIPE: it was reset after its end.
	Error unix.Errno
}

// mostWaiting bounds the queues that are walked.
const mostWaiting = 1 << 16

// Accepting lists the connections that wait to be accepted at a listening TCP
// socket, the first one first. They have to stand still: nothing may come for them.
func (m *Memory) Accepting(listener uint64) ([]*Waiting, error) {
	request, err := m.word(listener, "inet_connection_sock", "icsk_accept_queue.rskq_accept_head")
	if err != nil {
		return nil, err
	}
	var all []*Waiting
	for ; request != 0; request, err = m.word(request, "request_sock", "dl_next") {
		if err != nil {
			return nil, err
		}
		if len(all) == mostWaiting {
			return nil, errors.New("the queue of a listening socket has no end")
		}
		sk, err := m.word(request, "request_sock", "sk")
		if err != nil {
			return nil, err
		}
		w, err := m.waiting(sk)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, err
}

func (m *Memory) waiting(sk uint64) (*Waiting, error) {
	w := &Waiting{}
	var options, state, segment, next, sequence, read, window, failure uint64
	for _, f := range []struct {
		in, name string
		size     int
		to       *uint64
	}{
		{"sock_common", "skc_state", 1, &state}, {"sock", "sk_err", 4, &failure},
		{"tcp_sock", "snd_nxt", 4, &next}, {"tcp_sock", "snd_wnd", 4, &window},
		{"tcp_sock", "rcv_nxt", 4, &sequence}, {"tcp_sock", "copied_seq", 4, &read},
		{"tcp_sock", "rx_opt.saw_tstamp", 2, &options}, {"tcp_sock", "rx_opt.mss_clamp", 2, &segment},
	} {
		var err error
		if *f.to, err = m.number(sk, f.in, f.name, f.size); err != nil {
			return nil, err
		}
	}
	w.State, w.Send, w.Receive, w.Window, w.MaximumSegment = uint8(state), uint32(next), uint32(read), uint32(window), uint16(segment)
	w.Error = unix.Errno(failure)
	// saw_tstamp, tstamp_ok, dsack, wscale_ok; sack_ok, 3 bits; smc_ok; snd_wscale and
	// rcv_wscale, 4 bits each (struct tcp_options_received, include/linux/tcp.h).
	w.WindowScaling, w.SelectiveAcknowledgement = options&(1<<3) != 0, options&(1<<4) != 0
	w.SendScale, w.ReceiveScale = uint8(options>>8&15), uint8(options>>12&15)
	var err error
	if w.Local, w.Remote, err = m.addresses(sk); err != nil {
		return nil, err
	}
	w.Unread, err = m.unread(sk, uint32(read), uint32(sequence))
	return w, err
}

// addresses are those of the two ends of a connection.
func (m *Memory) addresses(sk uint64) (local, remote netip.AddrPort, err error) {
	family, err := m.number(sk, "sock_common", "skc_family", 2)
	if err != nil {
		return local, remote, err
	}
	names := [2]string{"skc_rcv_saddr", "skc_daddr"}
	size := 4
	if family == unix.AF_INET6 {
		names, size = [2]string{"skc_v6_rcv_saddr", "skc_v6_daddr"}, 16
	}
	var found [2]netip.Addr
	for i, name := range names {
		at, err := m.member(sk, "sock_common", name)
		if err != nil {
			return local, remote, err
		}
		b := make([]byte, size)
		if err := m.Read(at, b); err != nil {
			return local, remote, err
		}
		found[i], _ = netip.AddrFromSlice(b)
	}
	port, err := m.number(sk, "sock_common", "skc_num", 2)
	if err != nil {
		return local, remote, err
	}
	peer, err := m.number(sk, "sock_common", "skc_dport", 2) // of the network's byte order
	if err != nil {
		return local, remote, err
	}
	peer = uint64(binary.BigEndian.Uint16(binary.LittleEndian.AppendUint16(nil, uint16(peer))))
	return netip.AddrPortFrom(found[0], uint16(port)), netip.AddrPortFrom(found[1], uint16(peer)), nil
}

// unread reads the bytes between two sequence numbers that lie in a socket's
// queue. A FIN has a number, and no byte.
func (m *Memory) unread(sk uint64, from, to uint32) ([]byte, error) {
	head, err := m.member(sk, "sock", "sk_receive_queue")
	if err != nil {
		return nil, err
	}
	buffer, err := m.word(head, "sk_buff_head", "next")
	if err != nil {
		return nil, err
	}
	control, err := m.Member("sk_buff", "cb")
	if err != nil {
		return nil, err
	}
	var all []byte
	for n := 0; buffer != head; n++ {
		if n == mostWaiting {
			return nil, errors.New("the queue of a connection has no end")
		}
		first, err := m.number(buffer+uint64(control), "tcp_skb_cb", "seq", 4)
		if err != nil {
			return nil, err
		}
		data, err := m.buffer(buffer)
		if err != nil {
			return nil, err
		}
		have := from + uint32(len(all)) // what is here may begin before
		skip := int64(int32(have - uint32(first)))
		if skip < 0 {
			return nil, fmt.Errorf("of the bytes of a connection some are missing before number %d", first)
		}
		all = append(all, data[min(skip, int64(len(data))):]...)
		if buffer, err = m.word(buffer, "sk_buff", "next"); err != nil {
			return nil, err
		}
	}
	if missing := to - from - uint32(len(all)); missing > 1 {
		return nil, fmt.Errorf("%d bytes of a connection are not where they should be", int32(missing))
	}
	return all, nil
}

// buffer reads the bytes of a struct sk_buff: those in its own block, and those in
// pages of whoever sent them.
func (m *Memory) buffer(skb uint64) ([]byte, error) {
	fields := map[string]uint64{}
	for name, size := range map[string]int{"len": 4, "data_len": 4, "head": 8, "data": 8, "end": 4} {
		v, err := m.number(skb, "sk_buff", name, size)
		if err != nil {
			return nil, err
		}
		fields[name] = v
	}
	const most = 1 << 24
	if fields["len"] > most || fields["data_len"] > fields["len"] {
		return nil, errors.New("a packet of the kernel makes no sense")
	}
	own, err := m.bytes(fields["data"], uint32(fields["len"]-fields["data_len"]))
	if err != nil || fields["data_len"] == 0 {
		return own, err
	}
	shared := fields["head"] + fields["end"]
	rest, err := m.fragments(shared)
	if err != nil {
		return nil, err
	}
	all := append(own, rest...)
	list, err := m.word(shared, "skb_shared_info", "frag_list")
	if err != nil {
		return nil, err
	}
	for ; list != 0 && len(all) < int(fields["len"]); list, err = m.word(list, "sk_buff", "next") {
		if err != nil {
			return nil, err
		}
		more, err := m.buffer(list)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	if len(all) != int(fields["len"]) {
		return nil, fmt.Errorf("of a packet of %d bytes %d are found", fields["len"], len(all))
	}
	return all, err
}

// fragments reads what lies in the pages of a struct skb_shared_info.
func (m *Memory) fragments(shared uint64) (all []byte, err error) {
	n, err := m.number(shared, "skb_shared_info", "nr_frags", 1)
	if err != nil {
		return nil, err
	}
	at, err := m.member(shared, "skb_shared_info", "frags")
	if err != nil {
		return nil, err
	}
	// struct bio_vec, skb_frag since Linux 6.9 (include/linux/skbuff.h): page,
	// length, offset.
	const size, most = 16, 64
	if n > most {
		return nil, errors.New("a packet of the kernel has too many pages")
	}
	for i := range n {
		b := make([]byte, size)
		if err := m.Read(at+i*size, b); err != nil {
			return nil, err
		}
		page, length, offset := binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:])
		if page&1 != 0 {
			return nil, errors.New("bytes of a packet lie in the memory of a device")
		}
		address, err := m.pagesAt(page)
		if err != nil {
			return nil, err
		}
		b, err = m.bytes(address+uint64(offset), length)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	return all, nil
}

func (m *Memory) bytes(at uint64, n uint32) ([]byte, error) {
	const most = 1 << 24
	if n > most {
		return nil, errors.New("a packet of the kernel makes no sense")
	}
	b := make([]byte, n)
	return b, m.Read(at, b)
}
