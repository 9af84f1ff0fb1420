package lxc

import (
	"fmt"
	"os"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestTCPOutside: clients outside send bytes to an echo server in the container
// and get them back, over IPv4 and IPv6. That is killed and restarted meanwhile:
// they see pauses, no error, and every byte once.
func TestTCPOutside(t *testing.T) {
	need.Check(t, need.Program("ip"))
	bridge := fmt.Sprintf("lxck%d", os.Getpid()%1_000_000)
	harness.Must(t, "ip", "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { harness.Must(t, "ip", "link", "del", bridge) })
	harness.Must(t, "ip", "addr", "add", "10.213.77.1/24", "dev", bridge)
	harness.Must(t, "ip", "addr", "add", "fd00:213:77::1/64", "dev", bridge, "nodad")
	harness.Must(t, "ip", "link", "set", bridge, "up")
	b := createBusybox(t, "lxc.net.1.type = veth", "lxc.net.1.link = "+bridge, "lxc.net.1.flags = up",
		"lxc.net.1.ipv4.address = 10.213.77.2/24", "lxc.net.1.ipv6.address = fd00:213:77::2/64")
	b.edit("rootfs/etc/init.d/rcS", "udhcpc", "true") // the addresses are LXC's
	b.edit("rootfs/etc/inittab", "::respawn:/bin/count", "::respawn:/bin/count\n::respawn:/bin/nc -l -p 5001 -e /bin/cat\n::respawn:/bin/nc -l -p 5002 -e /bin/cat")
	b.start()
	b.settle()
	var clients []*harness.Echo
	for _, address := range []string{"10.213.77.2:5001", "[fd00:213:77::2]:5002"} {
		clients = append(clients, harness.NewEcho(t, address, nil))
	}
	rounds := 2
	if os.Getenv("LXC_CHECKPOINT_TEST") == "acceptance" {
		rounds = 5
	}
	for range rounds {
		for _, c := range clients {
			c.GoesOn(t)
		}
		b.checkpoint("-S", b.statefile("tcp"), "-k")
		b.expect("STOPPED")
		time.Sleep(300 * time.Millisecond)
		b.restart("-S", b.statefile("tcp"))
		b.expect("RUNNING")
	}
	for _, c := range clients {
		c.GoesOn(t)
		c.End(t)
	}
}
