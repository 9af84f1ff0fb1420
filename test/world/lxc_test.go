package world

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// lxcBox is a container of stock LXC.
type lxcBox struct {
	t          *testing.T
	path, name string
}

func startLXC(t *testing.T, area string) *lxcBox {
	t.Helper()
	harness.KeepInherited()
	path, err := os.MkdirTemp("/var/tmp", "lxc-checkpoint-world-")
	if err != nil {
		t.Fatal(err)
	}
	b := &lxcBox{t, path, fmt.Sprintf("world-%s-%d", area, os.Getpid())}
	t.Cleanup(func() {
		b.lxc("lxc-stop", "-k")
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(filepath.Join(path, b.name), 0o755); err != nil {
		t.Fatal(err)
	}
	rootfs := filepath.Join(path, b.name, "rootfs")
	newRoot(t, rootfs)
	config := strings.Join([]string{
		"lxc.uts.name = world",
		"lxc.rootfs.path = dir:" + rootfs,
		"lxc.init.cmd = /bin/init",
		"lxc.net.0.type = empty",
		"lxc.tty.max = 0",
		"lxc.pty.max = 64",
		"lxc.autodev = 1",
		"lxc.mount.auto = proc:rw sys:rw cgroup:rw",
		"lxc.mount.entry = shm dev/shm tmpfs create=dir 0 0",
		"lxc.mount.entry = mqueue dev/mqueue mqueue create=dir 0 0",
		"lxc.apparmor.profile = unconfined",
		"lxc.environment = PATH=/bin",
	}, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(path, b.name, "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(path, "log")
	if r := b.lxc("lxc-start", "-o", log, "-l", "WARN"); r.Code != 0 {
		text, _ := os.ReadFile(log)
		t.Fatalf("%v%s", r, text)
	}
	return b
}

func (b *lxcBox) lxc(command string, args ...string) *harness.Result {
	b.t.Helper()
	return harness.Run(b.t, command, append([]string{"-P", b.path, "-n", b.name}, args...)...)
}

func (b *lxcBox) run(script string) (string, error) {
	return output(exec.Command("lxc-attach", "-P", b.path, "-n", b.name, "--clear-env", "-v", "PATH=/bin", "--", "/bin/sh"), script)
}

func (b *lxcBox) checkpoint(statefile string) *harness.Result {
	b.t.Helper()
	return b.lxc(harness.Tool(b.t, "lxc-checkpoint"), "-S", statefile, "-k")
}

func (b *lxcBox) restart(statefile string) *harness.Result {
	b.t.Helper()
	return b.lxc(harness.Tool(b.t, "lxc-restart"), "-S", statefile)
}

func (b *lxcBox) dir() string { return b.path }

// has tells whether LXC gives the container a cgroup of a version.
func (b *lxcBox) has(version int) bool { return len(need.Hierarchies(version)) > 0 }
