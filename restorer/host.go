package restorer

import (
	"errors"
	"fmt"
	"os"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/ia32"
	"lxc-checkpoint/internal/vdso"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/restorer/fds"
	"lxc-checkpoint/restorer/tasks"
)

// checkHost compares what the image needs of any host with this one, before
// anything is made.
func checkHost(s *format.Skeleton) error { return hostObstacles(s).Err() }

// hostObstacles is all that this host's kernel and CPU lack.
func hostObstacles(s *format.Skeleton) (list refusal.List) {
	for _, c := range []struct {
		object string
		check  func(*format.Skeleton) error
	}{
		{"page size", checkPageSize},
		{"vdso", checkVdso},
		{"memory", checkRoom},
		{"32-bit programs", checkNarrow},
		{"CPU", tasks.CheckCPU},
		{"io_uring", checkRings},
	} {
		err := c.check(s)
		var one *refusal.Refusal
		switch {
		case err == nil:
		case errors.As(err, &one):
			list = append(list, one)
		default:
			list = append(list, &refusal.Refusal{Object: c.object, Reason: err.Error()})
		}
	}
	return list
}

func checkPageSize(s *format.Skeleton) error {
	if have := uint32(os.Getpagesize()); s.Header.PageSize != have {
		return &refusal.Refusal{
			Object: "page size", Reason: fmt.Sprintf("the image has pages of %d bytes and this kernel pages of %d", s.Header.PageSize, have),
			Remedy: "restart it on a kernel of the same page size",
		}
	}
	return nil
}

func checkVdso(s *format.Skeleton) error {
	own, err := vdso.Code()
	if err != nil {
		return err
	}
	if vdso.Digest(own) != s.Header.VdsoDigest && len(s.Header.Vdso) == 0 {
		return &refusal.Refusal{
			Object: "vdso",
			Reason: fmt.Sprintf("the kernel of the checkpoint, %s, had another one than this kernel, the programs keep addresses in it, and the statefile does not have it", s.Header.KernelRelease),
			Remedy: "restart on a kernel of the same build",
		}
	}
	return nil
}

// checkRings makes a ring of io_uring of each form that the image has.
func checkRings(s *format.Skeleton) error {
	type form struct{ flags, sq, cq uint32 }
	tried := map[form]bool{}
	for _, o := range s.OpenFiles {
		u := o.GetIoUring()
		f := form{u.GetFlags(), u.GetSqEntries(), u.GetCqEntries()}
		if u == nil || tried[f] {
			continue
		}
		tried[f] = true
		if err := fds.TryRing(u); err != nil {
			return err
		}
	}
	return nil
}

func checkRoom(s *format.Skeleton) error {
	have, err := hostRoom()
	if err != nil {
		return err
	}
	return have.check(s)
}

func checkNarrow(s *format.Skeleton) error {
	narrow := narrowTasks(s)
	if len(narrow) == 0 {
		return nil
	}
	if err := ia32.Usable(); err != nil {
		return &refusal.Refusal{PID: int(narrow[0].Pid), Command: name(narrow[0]), Reason: fmt.Sprintf("it makes system calls of 32-bit programs: %v", err),
			Remedy: "boot this kernel with ia32_emulation=on, or restart on another host"}
	}
	return nil
}
