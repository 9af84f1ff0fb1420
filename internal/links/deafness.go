package links

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/sys"
)

// deafness is an XDP program that drops every packet but those by which
// neighbours find each other's interfaces, ARP and the neighbour discovery of
// IPv6. They belong to no socket; and whoever asks while the answer is dropped
// asks again a second later, and nothing is sent until then.
func deafness() []sys.BPFInstruction {
	const (
		result, context, data, dataEnd, end, value = 0, 1, 2, 3, 4, 5

		load    = unix.BPF_LDX | unix.BPF_MEM
		set     = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K
		copied  = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_X
		jump    = unix.BPF_JMP
		jumpNot = 0x50 // BPF_JNE
		exit    = 0x90 // BPF_EXIT

		xdpDrop, xdpPass = 1, 2

		etherHeader, ipv6Header                     = 14, 40
		neighborSolicitation, neighborAdvertisement = 135, 136 // RFC 4861
	)
	return []sys.BPFInstruction{
		{Code: load | unix.BPF_W, Registers: dataEnd | context<<4, Offset: 4}, // of struct xdp_md
		{Code: load | unix.BPF_W, Registers: data | context<<4},
		{Code: set, Registers: result, Immediate: xdpDrop},
		// Is there an Ethernet header, and of what kind?
		{Code: copied, Registers: end | data<<4},
		{Code: unix.BPF_ALU64 | unix.BPF_ADD | unix.BPF_K, Registers: end, Immediate: etherHeader},
		{Code: jump | unix.BPF_JGT | unix.BPF_X, Registers: end | dataEnd<<4, Offset: 12}, // to the end
		{Code: load | unix.BPF_H, Registers: value | data<<4, Offset: 12},
		{Code: jump | unix.BPF_JEQ | unix.BPF_K, Registers: value, Offset: 9, Immediate: bigEndian(unix.ETH_P_ARP)},
		{Code: jump | jumpNot | unix.BPF_K, Registers: value, Offset: 9, Immediate: bigEndian(unix.ETH_P_IPV6)},
		// Is there a header of IPv6, a message of ICMPv6 behind it, and of what kind?
		{Code: unix.BPF_ALU64 | unix.BPF_ADD | unix.BPF_K, Registers: end, Immediate: ipv6Header + 1},
		{Code: jump | unix.BPF_JGT | unix.BPF_X, Registers: end | dataEnd<<4, Offset: 7},
		{Code: load | unix.BPF_B, Registers: value | data<<4, Offset: etherHeader + 6},
		{Code: jump | jumpNot | unix.BPF_K, Registers: value, Offset: 5, Immediate: unix.IPPROTO_ICMPV6},
		{Code: load | unix.BPF_B, Registers: value | data<<4, Offset: etherHeader + ipv6Header},
		{Code: jump | unix.BPF_JGT | unix.BPF_K, Registers: value, Offset: 3, Immediate: neighborAdvertisement},
		{Code: jump | unix.BPF_JGE | unix.BPF_K, Registers: value, Offset: 1, Immediate: neighborSolicitation},
		{Code: unix.BPF_JMP | exit},
		{Code: set, Registers: result, Immediate: xdpPass},
		{Code: unix.BPF_JMP | exit},
	}
}

// bigEndian is a number of 16 bits as a load of it from a packet finds it.
func bigEndian(n uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n)))
}
