package fds

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// inetSamples are sockets of IP and netlink.
func inetSamples() []*format.OpenFile {
	at := func(address []byte, port uint32) *format.InetAddress {
		return &format.InetAddress{Address: address, Port: port}
	}
	here, here6 := []byte{127, 0, 0, 1}, append(make([]byte, 15), 1)
	ip := func(id uint32, s *format.InetSocket) *format.OpenFile {
		return &format.OpenFile{Id: id, Flags: unix.O_RDWR, Kind: &format.OpenFile_InetSocket{InetSocket: s}}
	}
	netlink := func(id uint32, s *format.NetlinkSocket) *format.OpenFile {
		return &format.OpenFile{Id: id, Flags: unix.O_RDWR, Kind: &format.OpenFile_NetlinkSocket{NetlinkSocket: s}}
	}
	tcp := func(id uint32, c *format.TcpConnection) *format.OpenFile {
		return &format.OpenFile{Id: id, Flags: unix.O_RDWR, Kind: &format.OpenFile_TcpConnection{TcpConnection: c}}
	}
	window := &format.TcpWindow{SendUpdate: 5000, Send: 65536, Maximum: 65536, Receive: 60000, ReceiveUpdate: 5000}
	established := func(state, from, to uint32) *format.TcpConnection {
		return &format.TcpConnection{Family: unix.AF_INET, State: state, Address: at(here, from), Peer: at(here, to), SendSequence: 5000, ReceiveSequence: 5000,
			MaximumSegment: 1400, WindowScaling: true, SendScale: 7, ReceiveScale: 7, SelectiveAcknowledgement: true, Window: window,
			SendBuffer: 100_000, ReceiveBuffer: 120_000, BufferLock: 1}
	}
	queued := established(1, 8001, 8002)
	queued.SendQueue, queued.ReceiveQueue, queued.SendSequence, queued.ReceiveSequence = []byte("to be acknowledged"), []byte("unread"), 4294967290, 4999
	return []*format.OpenFile{
		tcp(301, &format.TcpConnection{Family: unix.AF_INET, State: sys.TCPClose, SendBuffer: 16384, ReceiveBuffer: 131072}),
		tcp(302, &format.TcpConnection{Family: unix.AF_INET6, State: sys.TCPClose, Address: at(here6, 8000), SendBuffer: 16384, ReceiveBuffer: 131072,
			Options: []*format.SocketOption{{Level: unix.IPPROTO_IPV6, Name: unix.IPV6_V6ONLY, Value: number(1)}}}),
		tcp(303, queued),
		tcp(304, established(1, 8002, 8001)),
		netlink(201, &format.NetlinkSocket{Type: unix.SOCK_RAW, Protocol: unix.NETLINK_ROUTE}),
		netlink(202, &format.NetlinkSocket{Type: unix.SOCK_DGRAM, Protocol: unix.NETLINK_ROUTE, Port: 4711, Groups: []uint32{1, 5, 33},
			Options: []*format.SocketOption{{Level: unix.SOL_NETLINK, Name: unix.NETLINK_EXT_ACK, Value: number(1)}}}),
		netlink(203, &format.NetlinkSocket{Type: unix.SOCK_RAW, Protocol: unix.NETLINK_KOBJECT_UEVENT, Port: 1, Groups: []uint32{2}, PeerPort: 7,
			Options: []*format.SocketOption{{Level: unix.SOL_SOCKET, Name: unix.SO_ATTACH_FILTER, Value: []byte{6, 0, 0, 0, 255, 0, 0, 0}}}}),
		{Id: 217, Flags: unix.O_RDWR, Kind: &format.OpenFile_PacketSocket{PacketSocket: &format.PacketSocket{
			Type: unix.SOCK_DGRAM, Protocol: 0x88b5, Interface: 1, Name: "lo", Fanout: unix.PACKET_FANOUT_LB<<16 | 9,
			Memberships: []*format.PacketMembership{{Interface: 1, Name: "lo", Type: unix.PACKET_MR_ALLMULTI, Count: 2}},
			Options:     []*format.SocketOption{{Level: unix.SOL_PACKET, Name: unix.PACKET_AUXDATA, Value: number(1)}},
		}}},
		{Id: 218, Flags: unix.O_RDWR, Kind: &format.OpenFile_PacketSocket{PacketSocket: &format.PacketSocket{
			Type: unix.SOCK_RAW, Protocol: 0x88b5, Interface: 1, Name: "lo", RingContent: 219,
			Options: []*format.SocketOption{{Level: unix.SOL_PACKET, Name: unix.PACKET_VERSION, Value: number(unix.TPACKET_V2)}},
			Receive: &format.PacketRing{BlockSize: 4096, Blocks: 2, FrameSize: 2048, Frames: 4, Head: 3, Free: 4},
			Send:    &format.PacketRing{BlockSize: 8192, Blocks: 1, FrameSize: 1024, Frames: 8, Head: 5},
		}}},
		{Id: 220, Flags: unix.O_RDWR, Kind: &format.OpenFile_PacketSocket{PacketSocket: &format.PacketSocket{
			Type: unix.SOCK_DGRAM, Protocol: 0x88b5, Interface: 1, Name: "lo", RingContent: 221,
			Options: []*format.SocketOption{{Level: unix.SOL_PACKET, Name: unix.PACKET_VERSION, Value: number(unix.TPACKET_V3)}},
			Receive: &format.PacketRing{BlockSize: 8192, Blocks: 3, FrameSize: 2048, Frames: 12, RetireMs: 50, PrivateSize: 8, Features: 1, Head: 2, Free: 3, Sequence: 9},
		}}},
		ip(204, &format.InetSocket{Family: unix.AF_INET, Type: unix.SOCK_DGRAM, Protocol: unix.IPPROTO_UDP}),
		ip(205, &format.InetSocket{Family: unix.AF_INET, Type: unix.SOCK_DGRAM, Protocol: unix.IPPROTO_UDP, Address: at(here, 5353),
			Queue: []*format.InetDatagram{{Data: []byte("one"), Sender: at([]byte{10, 1, 2, 3}, 53)}, {Sender: at(here, 54)}, {Data: bytes.Repeat([]byte("x"), 60_000), Sender: at(here, 55)}}}),
		ip(206, &format.InetSocket{Family: unix.AF_INET, Type: unix.SOCK_DGRAM, Protocol: unix.IPPROTO_UDP, Address: at(here, 5354), Peer: at(here, 5353), Shutdown: 2,
			Queue: []*format.InetDatagram{{Data: []byte("back"), Sender: at(here, 5353)}}}),
		ip(207, &format.InetSocket{Family: unix.AF_INET6, Type: unix.SOCK_DGRAM, Protocol: unix.IPPROTO_UDP, Address: at(make([]byte, 16), 5355),
			Queue: []*format.InetDatagram{{Data: []byte("six"), Sender: at(here6, 53)}, {Data: []byte("four"), Sender: at(append(append(make([]byte, 10), 255, 255), here...), 53)}}}),
		ip(208, &format.InetSocket{Family: unix.AF_INET6, Type: unix.SOCK_DGRAM, Protocol: unix.IPPROTO_UDPLITE, Address: at(here6, 5356),
			Options: []*format.SocketOption{{Level: unix.IPPROTO_IPV6, Name: unix.IPV6_V6ONLY, Value: number(1)}}, // as bind(2) makes it
			Queue:   []*format.InetDatagram{{Data: []byte("lite"), Sender: at(here6, 53)}}}),
		ip(209, &format.InetSocket{Family: unix.AF_INET, Type: unix.SOCK_RAW, Protocol: 200, Address: at(here, 0), Peer: at(here, 0)}),
		ip(210, &format.InetSocket{Family: unix.AF_INET, Type: unix.SOCK_DGRAM, Protocol: unix.IPPROTO_UDP, Address: at(make([]byte, 4), 5357),
			Memberships: []*format.Membership{{Group: []byte{224, 1, 2, 3}, Interface: "lo"}}}),
		ip(211, &format.InetSocket{Family: unix.AF_INET6, Type: unix.SOCK_DGRAM, Protocol: unix.IPPROTO_UDP, Address: at(make([]byte, 16), 5358),
			Memberships: []*format.Membership{{Group: append([]byte{0xff, 2}, here6[2:]...)[:16], Interface: "lo"}}}),
	}
}

// TestTCPClose: connections that end with the restart, also those whose address
// the container does not have any more. What was unread can be read first.
func TestTCPClose(t *testing.T) {
	h := newHelper(t)
	var files []*format.OpenFile
	for i, address := range [][]byte{{127, 0, 0, 1}, {127, 0, 0, 1}, {10, 1, 2, 3}} {
		files = append(files, &format.OpenFile{Id: uint32(1 + i), Flags: unix.O_RDWR, Kind: &format.OpenFile_TcpConnection{TcpConnection: &format.TcpConnection{
			Family: unix.AF_INET, State: sys.TCPEstablished, Address: &format.InetAddress{Address: address, Port: 80}, Peer: &format.InetAddress{Address: []byte{192, 0, 2, 1}, Port: uint32(5000 + i)},
			SendSequence: 7, SendQueue: []byte("lost"), ReceiveSequence: 9, ReceiveQueue: []byte("unread"), MaximumSegment: 1000}}})
	}
	files[1].GetTcpConnection().State = sys.TCPFinWait2
	s := &format.Skeleton{OpenFiles: files, Files: []*format.Files{at(files...)}}
	s.Files[0].Id = 1000
	r, err := New(s, h, nil)
	must(t, err)
	defer r.Close()
	r.CloseTCP = true
	must(t, r.Make(t.Context()))
	must(t, r.Join(t.Context(), town{h}))
	must(t, r.Plant(h, s.Files[0]))
	must(t, r.Arm())
	for i := range files {
		if got, err := h.read(uint64(10+i), 100); got != "unread" || err != nil {
			t.Errorf("connection %d: %q, %v", i, got, err)
		}
		if _, err := h.read(uint64(10+i), 100); err != unix.ECONNRESET {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}
