// Package hosts checkpoints and restarts between hosts that are made of
// namespaces on this machine, and looks at all that there is on one before and
// after.
package hosts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

func TestMain(m *testing.M) {
	harness.HostInit()
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	code := m.Run()
	if left := harness.Leftovers(); len(left) > 0 {
		fmt.Println("left behind:", strings.Join(left, ", "))
		code = 1
	}
	os.Exit(code)
}

// host is a Host of a test.
type host struct {
	*harness.Host
	t   *testing.T
	bin string // where our commands are
}

// newHost makes a host that has our commands; it goes when the test ends.
func newHost(t *testing.T, name, bin string) *host {
	t.Helper()
	return newHostIn(t, "/var/tmp", name, bin)
}

// newHostIn makes a host whose containers are on the file system of a directory.
func newHostIn(t *testing.T, above, name, bin string) *host {
	t.Helper()
	need.Check(t, need.Root, need.LXC, need.Freezer, need.Program("nsenter"), need.Program("ip"), overlay)
	dir, err := os.MkdirTemp(above, "lxc-checkpoint-test-")
	if err != nil {
		t.Fatal(err)
	}
	h, err := harness.StartHost(name, dir, bin)
	t.Cleanup(func() {
		if h != nil {
			if err := h.Stop(); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return &host{h, t, bin}
}

// overlay is a need for the file system that a host's root is.
var overlay = need.Filesystem("overlay")

// binaries is where make has put our commands.
func binaries(t *testing.T) string {
	t.Helper()
	return filepath.Dir(harness.Tool(t, "lxc-restart"))
}

// run runs a command on the host.
func (h *host) run(name string, args ...string) *harness.Result {
	h.t.Helper()
	r, err := h.Run(nil, name, args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// with is run with a chance to change how the command is started.
func (h *host) with(prepare func(*exec.Cmd), name string, args ...string) *harness.Result {
	h.t.Helper()
	r, err := h.Run(prepare, name, args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// must runs a command that has to succeed, and returns what it wrote.
func (h *host) must(name string, args ...string) string {
	h.t.Helper()
	text, err := h.Must(name, args...)
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// tool is the path of one of our commands.
func (h *host) tool(name string) string { return filepath.Join(h.bin, name) }
