package lxc

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"time"

	"lxc-checkpoint/test/harness"
)

// TestPipe: lxc-checkpoint -d 1 -k | lxc-restart -d 0, while the old container
// of that name still runs.
func TestPipe(t *testing.T) {
	b, c := busybox(t)
	before := b.ps()
	for range harness.Rounds(3, 20) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var complaints bytes.Buffer
		restart := exec.Command(harness.Tool(t, "lxc-restart"), "-P", b.path, "-n", b.name, "-d", "0")
		restart.Stdin, restart.Stderr, restart.WaitDelay = r, &complaints, time.Second
		if err := restart.Start(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		got := harness.RunWith(t, func(c *exec.Cmd) { c.Stdout = w }, harness.Tool(t, "lxc-checkpoint"), "-P", b.path, "-n", b.name, "-d", "1", "-k")
		w.Close()
		err = restart.Wait()
		if got.Code != 0 || got.Stderr != "" || err != nil || complaints.Len() > 0 {
			t.Fatalf("%v\nlxc-restart: %v\n%s", got, err, complaints.String())
		}
		b.expect("RUNNING")
		c.goesOn()
		b.same(before)
	}
}

// TestDescriptor: what goes through a descriptor to another process is a
// statefile, and a restart reads one from the descriptor of a file.
func TestDescriptor(t *testing.T) {
	b, c := busybox(t)
	file, err := os.OpenFile(b.statefile("f"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cat := exec.Command("cat")
	cat.Stdin, cat.Stdout = r, file
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	got := harness.RunWith(t, func(c *exec.Cmd) { c.ExtraFiles = []*os.File{w} },
		harness.Tool(t, "lxc-checkpoint"), "-P", b.path, "-n", b.name, "--statefd=3", "--kill")
	w.Close()
	if err := cat.Wait(); err != nil || got.Code != 0 || got.Stderr != "" {
		t.Fatalf("%v\ncat: %v", got, err)
	}
	b.expect("STOPPED")
	harness.Must(t, harness.Tool(t, "lxc-statefile"), "verify", file.Name())
	if _, err := file.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	got = harness.RunWith(t, func(c *exec.Cmd) { c.ExtraFiles = []*os.File{file} },
		harness.Tool(t, "lxc-restart"), "-P", b.path, "-n", b.name, "--statefd", "3")
	if got.Code != 0 || got.Stderr != "" {
		t.Fatal(got)
	}
	b.expect("RUNNING")
	c.goesOn()
}
