package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"lxc-checkpoint/internal/need"
)

// Bridge is what a container of DebianContainer has in its config for the bridge
// that it is on, and StockName is its name.
const (
	Bridge    = "lxcbridge0"
	StockName = "stock"
)

// DebianContainer returns the directory of a container that stock lxc-create has
// made with its template for a release of Debian, with its network on a bridge.
// Nobody may change it: it is made once and kept in the user's cache.
func DebianContainer(t *testing.T, release string) string {
	t.Helper()
	need.Check(t, need.Root, need.LXC, need.Debootstrap, need.Program("apt-get"), need.Program("wget"), need.Program("openssl"), need.Program("rsync"))
	dir, err := cached(fmt.Sprintf("lxc-create-%s-%s", release, runtime.GOARCH), func(dir string) error { return lxcCreate(dir, release) })
	if err != nil {
		// Also where nothing else may be missing: the mirror of this machine's
		// release need not have others.
		t.Skip(fmt.Errorf("needs what lxc-create -t debian -- -r %s makes: %w", release, err))
	}
	return filepath.Join(dir, StockName)
}

// lxcCreate makes the container below a directory.
func lxcCreate(dir, release string) error {
	ours, err := debianRelease()
	if err != nil {
		return err
	}
	mirror, err := debianMirror(ours)
	if err != nil {
		return err
	}
	mirror = strings.TrimSuffix(mirror, "/") // the template adds one
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	config := filepath.Join(dir, "conf")
	network := "lxc.net.0.type = veth\nlxc.net.0.link = " + Bridge + "\nlxc.net.0.flags = up\n"
	if err := os.WriteFile(config, []byte(network), 0o600); err != nil {
		return err
	}
	cache := filepath.Join(dir, "cache") // of the template
	defer os.RemoveAll(cache)
	return apart([]string{"MIRROR=" + mirror, "SECURITY_MIRROR=" + mirror, "LXC_CACHE_PATH=" + cache},
		"lxc-create", "-P", dir, "-n", StockName, "-f", config, "-t", "debian", "--", "-r", release)
}
