package lxc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestDebian13: what lxc-create -t debian -- -r trixie makes, changed by nobody but
// for a key of ssh, on a bridge where it gets its address by DHCP: it goes on
// with that, dhclient renews it, and who is in it by ssh from outside sees a pause.
func TestDebian13(t *testing.T) {
	need.Check(t, need.Program("ssh"), need.Program("busybox"))
	stock := harness.DebianContainer(t, "trixie")
	const network = 82
	bridge := bridgeFor(t, network)
	acks := serveDHCP(t, bridge, network)
	b := newBox(t, "debian13")
	harness.Must(t, "cp", "-a", "--reflink=auto", stock, filepath.Dir(b.rootfs))
	config := filepath.Join(filepath.Dir(b.rootfs), "config")
	harness.Must(t, "sed", "-i", "-e", "s,^lxc.rootfs.path.*,lxc.rootfs.path = dir:"+b.rootfs+",", "-e", "s,"+harness.Bridge+","+bridge+",", config)
	key := harness.SSHKey(t, b.rootfs)
	b.start()
	b.running()
	address := fmt.Sprintf("10.213.%d.%d", network, leased)
	shell := harness.NewShell(t, exec.Command, address, key)
	shell.Says(t, "hello")
	services := b.ownPids()
	for round := range harness.Rounds(2, 10) {
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-p", "-S", file)
		b.must("lxc-unfreeze")
		shell.Says(t, fmt.Sprintf("live-%d", round))
		b.checkpoint("-k", "-S", file)
		b.expect("STOPPED")
		b.restart("-S", file)
		shell.Says(t, fmt.Sprintf("again-%d", round))
		b.running()
		if now := b.ownPids(); now != services {
			t.Fatalf("round %d: services were started anew:\n%s", round, diffLines(services, now))
		}
		if addresses := b.attach("ip", "-4", "addr", "show", "eth0"); !strings.Contains(addresses, address+"/24") {
			t.Errorf("round %d: its addresses are\n%s", round, addresses)
		}
	}
	before := acks()
	harness.Until(t, "dhclient to renew the lease", time.Minute, func() bool { return acks() > before })
	b.attach("systemctl", "restart", "networking")
	harness.NewShell(t, exec.Command, address, key).Says(t, "after all")
	b.must("lxc-stop")
	b.expect("STOPPED")
}

// ownPids are the first processes of the services that such a container has.
func (b *box) ownPids() string {
	b.t.Helper()
	return b.attach("sh", "-c", "systemctl show -p Id,MainPID,NRestarts systemd-journald systemd-logind dbus ssh 'getty@*' 'container-getty@*' console-getty; pgrep -a dhclient")
}

// leased is the last number of the only address that serveDHCP gives.
const leased = 77

// serveDHCP serves one address on a bridge, for half a minute at a time, and tells
// how often it has.
func serveDHCP(t *testing.T, bridge string, network int) (acks func() int) {
	t.Helper()
	dir := t.TempDir()
	conf, log := filepath.Join(dir, "conf"), filepath.Join(dir, "log")
	write(t, filepath.Join(dir, "leases"), "")
	write(t, conf, fmt.Sprintf(`interface %s
start 10.213.%d.%d
end 10.213.%[2]d.%[3]d
option subnet 255.255.255.0
option router 10.213.%[2]d.1
option lease 30
min_lease 10
lease_file %[4]s/leases
pidfile %[4]s/pid
`, bridge, network, leased, dir))
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c := exec.Command("busybox", "udhcpd", "-f", conf)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	ack := regexp.MustCompile(`(?i)sending ACK`)
	return func() int {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return len(ack.FindAll(text, -1))
	}
}
