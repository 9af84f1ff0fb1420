package lxc

import (
	"testing"
	"time"

	"lxc-checkpoint/test/harness"
)

// TestReboot: a container that was restarted can reboot, as any other, and then
// runs its own init again; it can also end itself.
func TestReboot(t *testing.T) {
	b := createBusybox(t)
	b.start()
	for range 2 {
		b.checkpoint("-k", "-S", b.statefile("f"))
		b.restart("-S", b.statefile("f"))
		before := b.must("lxc-info", "-pH")
		b.lxc("lxc-attach", "--", "reboot", "-f")
		harness.Until(t, "the container to run again", 30*time.Second, func() bool {
			now := b.lxc("lxc-info", "-pH").Stdout
			return b.state() == "RUNNING" && now != "" && now != before+"\n"
		})
		if exe := b.attach("readlink", "/proc/1/exe"); exe != "/sbin/init" {
			t.Fatalf("its first process is %s", exe)
		}
	}
	b.checkpoint("-k", "-S", b.statefile("f"))
	b.restart("-S", b.statefile("f"))
	b.lxc("lxc-attach", "--", "poweroff", "-f")
	harness.Until(t, "the container to end", 30*time.Second, func() bool { return b.state() == "STOPPED" })
}
