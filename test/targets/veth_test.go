package targets

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestVeth: without LXC, an interface to a bridge of the host comes back on another
// one; without being told which, a restart refuses it.
func TestVeth(t *testing.T) {
	need.Check(t, need.Root, need.Freezer, need.Program("ip"), need.Program("nsenter"))
	bridges := []string{fmt.Sprintf("lxckv%da", os.Getpid()%1_000_000), fmt.Sprintf("lxckv%db", os.Getpid()%1_000_000)}
	for i, bridge := range bridges {
		harness.Must(t, "ip", "link", "add", bridge, "type", "bridge")
		t.Cleanup(func() { harness.Must(t, "ip", "link", "del", bridge) })
		harness.Must(t, "ip", "link", "set", bridge, "up")
		if i == 1 {
			harness.Must(t, "ip", "addr", "add", "10.213.81.1/24", "dev", bridge)
		}
	}
	const source = "c/outside/veth.c"
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	program := programOf(t, source)
	r := &run{t: t, name: "veth", source: source, dir: t.TempDir()}
	t.Cleanup(func() {
		if err := harness.Remove(r.tree, r.cgroups...); err != nil {
			t.Error(err)
		}
	})
	var err error
	if r.tree, err = harness.Start(dir, r.cgroup(), program); err != nil {
		t.Fatal(err)
	}
	pid := fmt.Sprint(r.tree.Cgroup.Processes()[0])
	// In steps that busybox knows, too.
	inner := bridges[0] + "q"
	harness.Must(t, "ip", "link", "add", bridges[0]+"p", "type", "veth", "peer", "name", inner)
	harness.Must(t, "ip", "link", "set", inner, "netns", pid)
	harness.Must(t, "nsenter", "-t", pid, "-n", "ip", "link", "set", inner, "name", "wan")
	harness.Must(t, "ip", "link", "set", bridges[0]+"p", "master", bridges[0], "up")
	if _, err := r.await("ready", 20*time.Second); err != nil {
		t.Fatal(err)
	}
	file := r.statefile("veth")
	harness.Silent(t, "lxc-checkpoint", "--cgroup="+r.tree.Cgroup.Dir, "-S", file, "-k")
	r.tree.Move(r.cgroup())
	args := []string{"--native", "--cgroup=" + r.tree.Cgroup.Dir, "-n", r.name, "-S", file}
	if got := harness.Run(t, harness.Tool(t, "lxc-restart"), args...); got.Code != 1 || !strings.Contains(got.Stderr, "--veth wan=BRIDGE") {
		t.Errorf("without a bridge: %v", got)
	}
	harness.Silent(t, "lxc-restart", append(args, "--veth", "wan="+bridges[1])...)
	c, err := net.DialTimeout("tcp", "10.213.81.2:7000", 10*time.Second)
	if err != nil {
		t.Fatalf("the container is not to be reached: %v", err)
	}
	defer c.Close()
	r.judge()
}
