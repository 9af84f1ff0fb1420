package restorer

import (
	"fmt"
	"os"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/ia32"
	"lxc-checkpoint/internal/vdso"
	"lxc-checkpoint/restorer/tasks"
)

// checkHost compares what the image needs of any host with this one, before
// anything is made.
func checkHost(s *format.Skeleton) error {
	if have := uint32(os.Getpagesize()); s.Header.PageSize != have {
		return fmt.Errorf("the image has pages of %d bytes and this kernel pages of %d: restart it on a kernel of the same page size", s.Header.PageSize, have)
	}
	own, err := vdso.Code()
	if err != nil {
		return err
	}
	if vdso.Digest(own) != s.Header.VdsoDigest && len(s.Header.Vdso) == 0 {
		return fmt.Errorf("the kernel of the checkpoint, %s, had another vdso than this one, the programs keep addresses in it, and the statefile does not have it: restart on a kernel of the same build", s.Header.KernelRelease)
	}
	have, err := hostRoom()
	if err != nil {
		return err
	}
	if err := have.check(s); err != nil {
		return err
	}
	if narrow := narrowTasks(s); len(narrow) > 0 {
		if err := ia32.Usable(); err != nil {
			return fmt.Errorf("process %d (%s) makes system calls of 32-bit programs: %w", narrow[0].Pid, name(narrow[0]), err)
		}
	}
	return tasks.CheckCPU(s)
}
