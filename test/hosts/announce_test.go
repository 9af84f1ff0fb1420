package hosts

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/test/harness"
)

// TestAnnounce: a container that says nothing by itself is found at once after its
// restart, over IPv4 and IPv6, by a neighbour who thinks that its addresses are
// at another interface.
func TestAnnounce(t *testing.T) {
	bin := binaries(t)
	one, third := newHost(t, "one", bin), newHost(t, "third", bin)
	connect(third, one)
	createMovable(one)
	config := filepath.Join(one.LXC, "c/config")
	edit(t, config, "lxc.net.0.flags = up", "lxc.net.0.flags = up\nlxc.net.0.ipv6.address = fd00:213:78::2/64")
	third.must("ip", "addr", "add", "fd00:213:78::1/64", "dev", "br0", "nodad")
	one.must("lxc-start", "-n", "c")

	addresses := []string{movedAddress, "fd00:213:78::2"}
	before := "00:16:3e:78:00:02"
	for _, a := range addresses {
		harness.Until(t, "the neighbour to know "+a, 10*time.Second, func() bool {
			_, _ = third.dial(join(a, 9))
			return strings.Contains(third.must("ip", "neigh", "show", a), before)
		})
	}
	one.must(one.tool("lxc-checkpoint"), "-n", "c", "-S", "/tmp/c", "-k")
	for _, a := range addresses {
		third.must("ip", "neigh", "replace", a, "lladdr", "02:00:00:00:00:99", "nud", "stale", "dev", "br0")
	}
	one.must(one.tool("lxc-restart"), "-n", "c", "-S", "/tmp/c")
	for _, a := range addresses {
		harness.Until(t, "the neighbour to be told where "+a+" is", 3*time.Second, func() bool {
			return strings.Contains(third.must("ip", "neigh", "show", a), before)
		})
	}
}

func join(address string, port int) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	return fmt.Sprintf("%s:%d", address, port)
}
