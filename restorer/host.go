package restorer

import (
	"fmt"
	"os"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/tasks"
)

// checkHost compares what the image needs of any host with this one, before
// anything is made.
func checkHost(s *format.Skeleton) error {
	if have := uint32(os.Getpagesize()); s.Header.PageSize != have {
		return fmt.Errorf("the image has pages of %d bytes and this kernel pages of %d: restart it on a kernel of the same page size", s.Header.PageSize, have)
	}
	return tasks.CheckCPU(s.Header.XsaveMask, s.Header.XsaveSize)
}
