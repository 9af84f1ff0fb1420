package memory

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

func hugeBits(size uint32) int { return bits.TrailingZeros32(size) }

// makeMemfd makes a memfd that can be sealed: whether it could is a seal, too
// (F_SEAL_SEAL).
func (o *object) makeMemfd(m *format.Memfd) (err error) {
	flags := unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	if o.HugePageSize != 0 {
		flags |= unix.MFD_HUGETLB | hugeBits(o.HugePageSize)<<unix.MAP_HUGE_SHIFT
	}
	// Its mode and F_SEAL_EXEC come later; without MFD_EXEC (Linux 6.3), the
	// sysctl vm.memfd_noexec could have an opinion of its own.
	o.local, err = unix.MemfdCreate(string(m.Name), flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		o.local, err = unix.MemfdCreate(string(m.Name), flags)
	}
	if err != nil {
		return err
	}
	return unix.Ftruncate(o.local, int64(o.Size))
}

// setInode gives a file its owner, mode, attributes and times.
func setInode(fd int, i *format.Inode) error {
	if err := unix.Fchown(fd, int(i.Uid), int(i.Gid)); err != nil {
		return fmt.Errorf("give it to user %d: %w", i.Uid, err)
	}
	// After fchown, which takes set-user-ID bits and capabilities away.
	if err := unix.Fchmod(fd, i.Mode&0o7777); err != nil {
		return fmt.Errorf("set its mode %#o: %w", i.Mode&0o7777, err)
	}
	for _, x := range i.Xattrs {
		err := unix.Fsetxattr(fd, x.Name, x.Value, 0)
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("set its extended attribute %s: %w", x.Name, err)
		}
	}
	return setTimes(fd, i.AtimeNs, i.MtimeNs)
}

// setTimes sets the times of the file behind a descriptor, of whatever kind.
func setTimes(fd int, atime, mtime int64) error {
	times := []unix.Timespec{unix.NsecToTimespec(atime), unix.NsecToTimespec(mtime)}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), times, 0); err != nil {
		return fmt.Errorf("set its times: %w", err)
	}
	return nil
}
