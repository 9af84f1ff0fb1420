package stub

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
)

func TestCorePattern(t *testing.T) {
	for pattern, want := range map[string]bool{
		"core": true, "core.%e.%p": true, "/var/crash/core.%p": true, "a/b/core": true,
		"": false, "|/usr/share/apport/apport %p": false, "@/run/core.socket": false, "/var/%h/core": false,
	} {
		if got := isFile(pattern); got != want {
			t.Errorf("%q names a file: %v", pattern, got)
		}
	}
}

// TestScratchRoot: the directories that an absolute pattern names are there.
func TestScratchRoot(t *testing.T) {
	need.Check(t, need.Root)
	for _, directory := range []string{"/", "/var/crash/of mine"} {
		root, err := scratchRoot(directory)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(root), "root")
		fd, err := unix.Openat(root, "."+directory+"/core", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600)
		if err != nil {
			t.Errorf("a core in %s: %v", directory, err)
		}
		unix.Close(fd)
		f.Close()
	}
}
