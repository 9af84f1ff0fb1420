package memory

import (
	"fmt"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// ofRing describes memory that io_uring shares with a program. All rings are of
// one inode; which one it is, its first page tells.
func (l *looker) ofRing(s *spaceLook, a *procfs.MappedArea, v *format.Vma) (*format.Vma, error) {
	frames, err := sys.PageFrames(s.PID, a.Start, 1)
	if err != nil {
		return nil, fmt.Errorf("find out which ring of io_uring it is: %w", err)
	}
	ring := l.env.Rings[frames[0]]
	if ring == 0 || frames[0] == 0 {
		s.refuse(a, "io_uring", "no descriptor leads to its ring, or it is not mapped from the beginning", "have the program keep a descriptor of it, or end it before the checkpoint")
		return nil, nil
	}
	v.Kind, v.OpenFile = format.VmaKind_VMA_IO_URING, ring
	return v, nil
}
