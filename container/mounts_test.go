package container

import (
	"slices"
	"testing"
)

func TestMountTargets(t *testing.T) {
	got := mountTargets("shm dev/shm tmpfs defaults,create=dir 0 0\n"+
		"# a remark of its own\n"+
		"/lib lib none ro,bind 0 0\n"+
		"\n"+
		"/data /var/lib/lxc/c1/rootfs/srv/my\\040data none bind 0 0\n"+
		"/x /usr/lib/x86_64-linux-gnu/lxc/rootfs/x/ none bind 0 0\n"+
		"alone\n",
		[]string{"dir:/var/lib/lxc/c1/rootfs", "/var/lib/lxc/c1/rootfs", "/usr/lib/x86_64-linux-gnu/lxc/rootfs", ""})
	want := []string{"/dev/shm", "/lib", "/srv/my data", "/x"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
