package restorer

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// TestFollowed: the way to a UNIX socket leads over symbolic links and mounts; one
// into a file system that the statefile has is followed as far as the files go.
func TestFollowed(t *testing.T) {
	root := t.TempDir()
	for name, target := range map[string]string{
		"var/run": "/run", "opt/here": "../srv/there", "loop": "loop", "srv/out": "../../../../../run/x", "srv/there/deep": "/var/run/deep",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := &format.Skeleton{FileSystems: []*format.FileSystem{{Id: 1, Outside: true, Fstype: "ext4"}, {Id: 2, Fstype: "tmpfs"}}}
	mounts := []*format.Mount{{Mountpoint: "/", Root: "/", FileSystem: 1}, {Mountpoint: "/run", Root: "/", FileSystem: 2}}
	l := &looker{
		checker: &checker{s: s, log: slog.New(slog.DiscardHandler)},
		root:    root, mounts: map[uint32][]*format.Mount{0: mounts}, dirs: map[string]int{}, seen: map[string]bool{},
	}
	defer l.close()
	for name, want := range map[string]string{
		"/var/run/docker/metrics.sock": "/run/docker/metrics.sock",
		"/srv/there/x":                 "/srv/there/x",
		"/opt/here/x":                  "/srv/there/x",
		"/opt/here/deep/x":             "/run/deep/x",
		"/srv/out/y":                   "/run/x/y",
		"/run/var/run":                 "/run/var/run",
		"/absent/x":                    "/absent/x",
	} {
		if is, err := l.followed(0, name); err != nil || is != want {
			t.Errorf("%s leads to %q, %v; not %s", name, is, err, want)
		}
	}
	if is, err := l.followed(0, "/loop/x"); err != unix.ELOOP {
		t.Errorf("a link to itself leads to %q, %v", is, err)
	}
	if r := l.socket(0, "/var/run/docker/metrics.sock"); r != nil {
		t.Errorf("a socket in a tmpfs behind a link: %v", r)
	}
	if r := l.socket(0, "/absent/x"); r == nil {
		t.Error("a socket in a directory that is not there is not refused")
	}
}
