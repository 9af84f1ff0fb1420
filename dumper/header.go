package dumper

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/internal/cpufeature"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/internal/vdso"
)

// header says where and when the checkpoint was made: the times are those that
// the container's clocks showed.
func header(tool string, at clocks.Times) (*format.Header, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, os.NewSyscallError("uname", err)
	}
	h := &format.Header{
		Architecture:  runtime.GOARCH,
		KernelRelease: unix.ByteSliceToString(u.Release[:]),
		PageSize:      uint32(os.Getpagesize()),
		ToolVersion:   tool,
		TimeNs:        at.Realtime,
		MonotonicNs:   at.Monotonic,
		BoottimeNs:    at.Boottime,
	}
	var err, err1, err2 error
	h.XsaveMask, err1 = sys.XsaveMask()
	h.XsaveSize, err2 = sys.XsaveSize()
	components, err3 := sys.XsaveComponents()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("ask this CPU for the size of its registers: %w", err)
	}
	for _, c := range components {
		h.XsaveComponents = append(h.XsaveComponents, &format.XsaveComponent{Number: c.Number, Offset: c.Offset, Size: c.Size})
	}
	if h.CpuFeatures, err = cpufeature.Usable(); err != nil {
		return nil, err
	}
	if h.Vdso, err = vdso.Code(); err != nil {
		return nil, err
	}
	h.VdsoDigest = vdso.Digest(h.Vdso)
	h.BootId, err = clocks.BootID()
	return h, err
}
