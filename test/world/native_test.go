package world

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// nativeBox is a container without LXC, in a cgroup of every hierarchy.
type nativeBox struct {
	t       *testing.T
	path    string
	cgroups []*harness.Cgroup // the first one can freeze
}

// enter makes the mounts that LXC would make, and changes the root.
const enter = `
cd $1
mount --make-rprivate /
mount --bind . .
cd $1
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755,size=1m dev dev
for d in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 dev/${d%:*} c 1 ${d#*:}; done
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs shm dev/shm
mount -t mqueue mqueue dev/mqueue
hostname world
ip link set lo up
pivot_root . old
exec chroot . /bin/sh -c 'umount -l /old; export PATH=/bin; exec unshare -C /bin/init' </dev/null >/dev/null 2>&1
`

func startNative(t *testing.T, area string) *nativeBox {
	t.Helper()
	harness.KeepInherited()
	path, err := os.MkdirTemp("/var/tmp", "lxc-checkpoint-world-")
	if err != nil {
		t.Fatal(err)
	}
	b := &nativeBox{t: t, path: path}
	var tree *harness.Tree
	t.Cleanup(func() {
		if err := harness.Remove(tree, b.cgroups...); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	rootfs := filepath.Join(path, "rootfs")
	newRoot(t, rootfs)
	for _, hierarchy := range append(need.Freezers()[:1:1], need.Hierarchies(0)...) {
		if len(b.cgroups) > 0 && hierarchy == need.Freezers()[0] {
			continue
		}
		c, err := harness.NewCgroup(hierarchy, "world-"+area)
		if err != nil {
			t.Fatal(err)
		}
		b.cgroups = append(b.cgroups, c)
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // of v1, where nobody gets into an empty one
			for _, dir := range []string{filepath.Dir(c.Dir), c.Dir} {
				if text, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file)); err == nil {
					_ = os.WriteFile(filepath.Join(dir, file), text, 0)
				}
			}
		}
	}
	if tree, err = harness.Start(path, b.cgroups[0], "/bin/sh", "-ec", "until [ -e go ]; do sleep 0.02; done\n"+enter, "sh", rootfs); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.cgroups[1:] {
		if err := c.Add(b.first()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "go"), []byte("go\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	started := func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", b.first()))
		return string(text) == "init\n"
	}
	if !harness.Wait(10*time.Second, started) {
		text, _ := os.ReadFile(filepath.Join(path, "log"))
		t.Fatalf("the container does not start: %s", text)
	}
	return b
}

// first is the host's number of the container's first process.
func (b *nativeBox) first() int {
	b.t.Helper()
	for _, pid := range b.cgroups[0].Processes() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "NSpid:" && f[len(f)-1] == "1" {
				return pid
			}
		}
	}
	b.t.Fatal("the container has no first process")
	return 0
}

func (b *nativeBox) run(script string) (string, error) {
	join := ""
	for _, c := range b.cgroups {
		join += "echo $$ >" + c.Dir + "/cgroup.procs && "
	}
	pid := strconv.Itoa(b.first())
	return output(exec.Command("/bin/sh", "-c", join+"exec env -i PATH=/bin nsenter -t "+pid+" -m -u -i -n -p -C -r -w /bin/sh"), script)
}

func (b *nativeBox) checkpoint(statefile string) *harness.Result {
	b.t.Helper()
	return harness.Run(b.t, harness.Tool(b.t, "lxc-checkpoint"), "--cgroup", b.cgroups[0].Dir, "-S", statefile, "-k")
}

func (b *nativeBox) restart(statefile string) *harness.Result {
	b.t.Helper()
	// The same path below every hierarchy.
	path := "lxc-checkpoint-test/" + filepath.Base(b.cgroups[0].Dir)
	return harness.Run(b.t, harness.Tool(b.t, "lxc-restart"), "--native", "-n", "world", "--cgroup", path, "-S", statefile)
}

func (b *nativeBox) dir() string { return b.path }

func (b *nativeBox) has(version int) bool { return len(need.Hierarchies(version)) > 0 }
