package targets

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/internal/netlink"
	"lxc-checkpoint/internal/rtnl"
	"lxc-checkpoint/test/harness"
)

// TestVeth: without LXC, an interface to a bridge of the host comes back on another
// one; without being told which, a restart refuses it.
func TestVeth(t *testing.T) {
	need.Check(t, need.Root, need.Freezer, need.Program("ip"))
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
	pid := r.tree.Cgroup.Processes()[0]
	makeVeth(t, bridges[0]+"p", pid)
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

// makeVeth makes an interface of the host whose other end is in a process's network
// namespace, called wan and with a number that is not the next one. busybox's ip
// can't.
func makeVeth(t *testing.T, host string, pid int) {
	t.Helper()
	const infoPeer = 1 // VETH_INFO_PEER
	peer := rtnl.Body(4711, 0, 0, netlink.Append(nil, netlink.String(unix.IFLA_IFNAME, "wan")), netlink.Append(nil, netlink.Uint32(unix.IFLA_NET_NS_PID, uint32(pid))))
	data := netlink.Append(nil, netlink.Attribute{Type: infoPeer, Flags: netlink.Nested, Value: peer})
	c, err := netlink.Open(unix.NETLINK_ROUTE)
	if err == nil {
		defer c.Close()
		err = c.Do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, rtnl.Body(uint32(100_000+pid), 0, 0, netlink.Append(nil, netlink.String(unix.IFLA_IFNAME, host)),
			netlink.Append(nil, netlink.Nest(unix.IFLA_LINKINFO, netlink.String(unix.IFLA_INFO_KIND, "veth"), netlink.Attribute{Type: unix.IFLA_INFO_DATA, Flags: netlink.Nested, Value: data}))))
	}
	if err != nil {
		t.Fatalf("make the interface %s: %v", host, err)
	}
}
