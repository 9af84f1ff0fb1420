package lxc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// bridge makes a bridge on the host with an address.
func bridge(t *testing.T, suffix, address string) string {
	t.Helper()
	need.Check(t, need.Program("ip"))
	name := fmt.Sprintf("lxck%d%s", os.Getpid()%1_000_000, suffix)
	harness.Must(t, "ip", "link", "add", name, "type", "bridge")
	t.Cleanup(func() { harness.Must(t, "ip", "link", "del", name) })
	harness.Must(t, "ip", "addr", "add", address, "dev", name)
	harness.Must(t, "ip", "link", "set", name, "up")
	return name
}

// network is what ip tells of a container's network, but for the numbers that
// namespaces and the host have.
func (b *box) network() string {
	b.t.Helper()
	pid := b.must("lxc-info", "-pH")
	var all strings.Builder
	for _, args := range []string{"-d -j addr", "-j route show table all", "-6 -j route show table all", "-j rule", "-6 -j rule", "-j neigh show nud permanent"} {
		r := harness.Run(b.t, "nsenter", append([]string{"-t", pid, "-n", "ip"}, strings.Fields(args)...)...)
		if r.Code != 0 {
			b.t.Fatal(r)
		}
		for part := range strings.SplitSeq(r.Stdout, ",") {
			if !strings.Contains(part, `"link_index"`) && !strings.Contains(part, `"link_netnsid"`) {
				fmt.Fprintln(&all, part)
			}
		}
	}
	return all.String()
}

// TestNetworkOfLXC: a veth that LXC makes from the config, as a program in the
// container has changed it since, twice from each other.
func TestNetworkOfLXC(t *testing.T) {
	first := bridge(t, "n", "10.213.78.1/24")
	b := createBusybox(t, "lxc.net.1.type = veth", "lxc.net.1.link = "+first, "lxc.net.1.flags = up", "lxc.net.1.name = wan",
		"lxc.net.1.ipv4.address = 10.213.78.2/24", "lxc.net.1.ipv4.gateway = 10.213.78.1")
	b.edit("rootfs/etc/init.d/rcS", "udhcpc", "true")
	b.start()
	b.settle()
	pid := b.must("lxc-info", "-pH")
	for _, line := range []string{
		"addr add 10.213.78.99/24 dev wan", // of its own
		"addr add 172.16.0.1/32 dev wan label wan:1",
		"link set wan mtu 1400", "link set wan txqueuelen 77",
		"route del default", "route add default via 10.213.78.1 src 10.213.78.99",
		"route add 10.99.0.0/16 via 10.213.78.1 table 100", "rule add fwmark 5 table 100 priority 500",
		"neigh add 10.213.78.50 lladdr 02:00:00:00:00:50 dev wan",
		"link add inner0 type veth peer name inner1", "link set inner0 up", "addr add fd00:1::1/64 dev inner0 nodad",
	} {
		harness.Must(t, "nsenter", append([]string{"-t", pid, "-n", "ip"}, strings.Fields(line)...)...)
	}
	before := ""
	harness.Until(t, "the addresses to be in use", 10*time.Second, func() bool {
		before = b.network()
		return !strings.Contains(before, "tentative")
	})
	for range 2 {
		b.checkpoint("-S", b.statefile("network"), "-k")
		b.restart("-S", b.statefile("network"))
		after := ""
		if !harness.Wait(5*time.Second, func() bool { after = b.network(); return after == before }) {
			t.Fatalf("the network was\n%s\nand is\n%s", before, after)
		}
		reached(t, "10.213.78.99")
	}
	// The same on another bridge.
	b.checkpoint("-S", b.statefile("network"), "-k")
	harness.Must(t, "ip", "addr", "del", "10.213.78.1/24", "dev", first)
	second := bridge(t, "m", "10.213.78.1/24")
	b.restart("-S", b.statefile("network"), "--veth", "wan="+second)
	if after := ""; !harness.Wait(5*time.Second, func() bool { after = b.network(); return after == before }) {
		t.Fatalf("the network was\n%s\nand is\n%s", before, after)
	}
	reached(t, "10.213.78.99")
}

// reached tells whether an address of a container is to be reached.
func reached(t *testing.T, address string) {
	t.Helper()
	// Nobody listens there, and that is what it says.
	if _, err := net.DialTimeout("tcp", address+":9", 5*time.Second); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("the container is not to be reached at %s: %v", address, err)
	}
}
