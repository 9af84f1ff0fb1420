package lxc

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// TestExecute: the examples of the man page. LXC's own init runs the program in
// the container, itself a program of the host.
func TestExecute(t *testing.T) {
	b := createBusybox(t)
	master, slave := pty(t)
	defer master.Close()
	execute := exec.Command("lxc-execute", "-P", b.path, "-n", b.name, "--", "/bin/count", "-d", "500000")
	execute.Stdin, execute.Stdout, execute.Stderr = slave, slave, slave
	execute.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := execute.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	ended := make(chan struct{})
	go func() { _ = execute.Wait(); close(ended) }()
	c := &counter{b: b, file: "counter.log"}
	c.goesOn()

	b.checkpoint("-S", b.statefile("chkpt1"), "-p")
	b.expect("FROZEN")
	b.must("lxc-unfreeze")
	c.goesOn()
	b.checkpoint("-S", b.statefile("chkpt1"), "-k")
	select {
	case <-ended:
	case <-time.After(harness.Patience(10 * time.Second)):
		t.Error("lxc-execute does not notice the end of its container")
	}
	b.expect("STOPPED")
	b.restart("-S", b.statefile("chkpt1"))
	b.expect("RUNNING")
	c.goesOn()
	b.checkpoint("--statefile="+b.statefile("chkpt2"), "--kill")
	b.restart("--statefile="+b.statefile("chkpt2"), "--pause")
	b.expect("FROZEN")
	c.stands()
	b.must("lxc-unfreeze")
	c.goesOn()
	if left, _ := filepath.Glob(filepath.Join(b.rootfs, ".lxc-restart*")); len(left) > 0 {
		t.Errorf("left in the root file system: %v", left)
	}
}
