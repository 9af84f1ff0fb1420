package namespaces

import (
	"testing"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// TestRootOfAnotherBoot: the root of a native restart is known again by its device;
// one that has none, by its type after the kernel was started again.
func TestRootOfAnotherBoot(t *testing.T) {
	const disk = 8<<32 | 1
	for _, c := range []struct {
		what     string
		had, now string // type
		device   uint64
		major    int
		minor    int
		sameBoot bool
		known    bool
	}{
		{"the same disk", "ext4", "ext4", disk, 8, 1, false, true},
		{"another disk", "ext4", "ext4", disk, 8, 2, false, false},
		{"the same tmpfs", "tmpfs", "tmpfs", 25, 0, 25, true, true},
		{"another tmpfs", "tmpfs", "tmpfs", 25, 0, 26, true, false},
		{"a tmpfs after another start", "tmpfs", "tmpfs", 25, 0, 26, false, true},
		{"an overlay after another start", "tmpfs", "overlay", 25, 0, 25, false, false},
	} {
		now := &procfs.Mount{ID: 1, Mountpoint: "/", Root: "/", FSType: c.now}
		now.Major, now.Minor = c.major, c.minor
		had := []*format.Mount{{MountId: 7, Mountpoint: "/", Root: "/", Fstype: c.had, Device: c.device, FileSystem: 1}}
		s := &format.Skeleton{FileSystems: []*format.FileSystem{{Id: 1, Fstype: c.had, Device: c.device, Outside: true}}}
		if got := compare(s, had, []*procfs.Mount{now}, true, c.sameBoot).now[7] != nil; got != c.known {
			t.Errorf("%s: taken for the root: %v", c.what, got)
		}
	}
}
