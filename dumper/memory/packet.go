package memory

import (
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// ofPacketRing describes the mapping of the rings of a packet socket, which is only
// made as a whole (packet_mmap, net/packet/af_packet.c).
func (l *looker) ofPacketRing(s *spaceLook, a *procfs.MappedArea, v *format.Vma, ring PacketRing) (*format.Vma, error) {
	if a.Offset != 0 || a.End-a.Start != ring.Size || !a.Shared {
		s.refuse(a, "packet ring", "a part of a packet socket's rings is mapped, or has another protection than the rest (mprotect, munmap), or it is mapped as private", "have the program map it as a whole and as shared")
		return nil, nil
	}
	v.Kind, v.OpenFile = format.VmaKind_VMA_PACKET_RING, ring.File
	return v, nil
}
