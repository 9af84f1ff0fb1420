package targets

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// outside is a container whose program has pipes or a socket to us.
type outside struct {
	t      *testing.T
	cgroup *harness.Cgroup
	name   string
	cmd    *exec.Cmd
}

// startOutside starts a shell script in namespaces and a cgroup of its own, with
// descriptors from 3 on.
func startOutside(t *testing.T, script string, files ...*os.File) *outside {
	t.Helper()
	need.Check(t, need.Root, need.Freezer)
	harness.KeepInherited()
	o := &outside{t: t, name: strings.ReplaceAll(t.Name(), "/", "-")}
	var err error
	if o.cgroup, err = harness.NewCgroup(need.Freezers()[0], o.name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.cgroup.Remove(); err != nil {
			t.Error(err)
		}
	})
	o.cmd = exec.Command("/bin/sh", "-c", `read -r go && exec </dev/null >/dev/null 2>/dev/null && `+script)
	o.cmd.ExtraFiles = files
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: harness.Namespaces, Setsid: true}
	barrier, err := o.cmd.StdinPipe()
	if err == nil {
		err = o.cmd.Start()
	}
	if err == nil {
		err = o.cgroup.Add(o.cmd.Process.Pid)
	}
	if err == nil {
		_, err = fmt.Fprintln(barrier, "go")
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = o.cmd.Wait() }()
	harness.Until(t, "the script", 5*time.Second, func() bool {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", o.cmd.Process.Pid))
		return link == "/dev/null"
	})
	return o
}

// nameOf is how the kernel names what lies behind a descriptor.
func nameOf(t *testing.T, f *os.File) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// talk writes a line and reads the answer.
func talk(t *testing.T, to io.Writer, from *bufio.Reader, word string) {
	t.Helper()
	if _, err := fmt.Fprintln(to, word); err != nil {
		t.Fatal(err)
	}
	got, err := from.ReadString('\n')
	if err != nil || got != "got "+word+"\n" {
		t.Fatalf("it answers %q to %s: %v", got, word, err)
	}
}

const answering = `while read -r x <&3; do echo "got $x" >&4; done`

// refusedWithout sees that it is refused without --external, with that as the
// remedy, and taken with it.
func (o *outside) checkpoint(file string, names ...string) {
	o.t.Helper()
	tool := harness.Tool(o.t, "lxc-checkpoint")
	got := harness.Run(o.t, tool, "--cgroup="+o.cgroup.Dir, "-S", file, "-k")
	args := []string{"--cgroup=" + o.cgroup.Dir, "-S", file, "-k"}
	for _, n := range names {
		if option := fmt.Sprintf("(--external '%s')", n); got.Code != 1 || !strings.Contains(got.Stderr, option) {
			o.t.Fatalf("%s is not the remedy: %v", option, got)
		}
		args = append(args, "--external", n)
	}
	harness.Silent(o.t, "lxc-checkpoint", args...)
	harness.Until(o.t, "the end of its processes", 5*time.Second, func() bool { return len(o.cgroup.Processes()) == 0 })
	// The restart has to be told what they are.
	check := harness.Run(o.t, harness.Tool(o.t, "lxc-restart"), "--native", "--check", "-S", file)
	restart := harness.Run(o.t, harness.Tool(o.t, "lxc-restart"), "--native", "-n", o.name, "--cgroup="+o.cgroup.Dir, "-S", file)
	for _, n := range names {
		for _, got := range []*harness.Result{check, restart} {
			if got.Code != 1 || !strings.Contains(got.Stderr, "--external '"+names[0]+"'=PATH") {
				o.t.Errorf("%s is not asked for: %v", n, got)
			}
		}
	}
}

// restart restarts it, with descriptors from 3 on for lxc-restart.
func (o *outside) restart(file string, files []*os.File, external ...string) {
	o.t.Helper()
	args := []string{"--native", "-n", o.name, "--cgroup=" + o.cgroup.Dir, "-S", file}
	for _, e := range external {
		args = append(args, "--external", e)
	}
	got := harness.RunWith(o.t, func(c *exec.Cmd) { c.ExtraFiles = files }, harness.Tool(o.t, "lxc-restart"), append([]string{"--check"}, args...)...)
	if got.Code != 0 {
		o.t.Errorf("--check: %v", got)
	}
	got = harness.RunWith(o.t, func(c *exec.Cmd) { c.ExtraFiles = files }, harness.Tool(o.t, "lxc-restart"), args...)
	if got.Code != 0 || got.Stderr != "" {
		o.t.Fatal(got)
	}
}

// TestExternalPipes: pipes to the outside are refused by name, saved with
// --external, and at the restart are what --external says: descriptors or FIFOs.
func TestExternalPipes(t *testing.T) {
	questions, ask := pipe(t)
	answers, answer := pipe(t)
	o := startOutside(t, answering, questions, answer)
	talk(t, ask, bufio.NewReader(answers), "one")
	file := filepath.Join(t.TempDir(), "f")
	in, out := nameOf(t, questions), nameOf(t, answer)
	o.checkpoint(file, in, out)

	questions2, ask2 := pipe(t)
	answers2, answer2 := pipe(t)
	o.restart(file, []*os.File{questions2, answer2}, in+"=fd:3", out+"=fd:4")
	talk(t, ask2, bufio.NewReader(answers2), "two")

	// Once more, from the new ones to FIFOs.
	again := filepath.Join(t.TempDir(), "again")
	in, out = nameOf(t, questions2), nameOf(t, answer2)
	o.checkpoint(again, in, out)
	fifos := t.TempDir()
	for _, name := range []string{"in", "out"} {
		if err := unix.Mkfifo(filepath.Join(fifos, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in3, err := os.OpenFile(filepath.Join(fifos, "in"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer in3.Close()
	out3, err := os.OpenFile(filepath.Join(fifos, "out"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer out3.Close()
	o.restart(again, nil, in+"="+in3.Name(), out+"="+out3.Name())
	talk(t, in3, bufio.NewReader(out3), "three")
}

// TestExternalSocket: a UNIX socket whose peer is outside, connected anew by
// path.
func TestExternalSocket(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	o := startOutside(t, answering, theirs, theirs)
	name := nameOf(t, theirs)
	theirs.Close()
	talk(t, ours, bufio.NewReader(ours), "one")
	file := filepath.Join(t.TempDir(), "f")
	o.checkpoint(file, name)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o.restart(file, nil, name+"="+path)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk(t, conn, bufio.NewReader(conn), "two")
}

// TestExternalUnread: what has come from outside and is unread would be lost, and
// so is refused; a name that nobody has is told.
func TestExternalUnread(t *testing.T) {
	r, w := pipe(t)
	o := startOutside(t, "while :; do sleep 1; done", r)
	name := nameOf(t, r)
	if _, err := w.WriteString("unread"); err != nil {
		t.Fatal(err)
	}
	got := harness.Run(t, harness.Tool(t, "lxc-checkpoint"), "--cgroup="+o.cgroup.Dir, "--check", "--external", name, "--external", "pipe:[1]")
	for _, want := range []string{"6 bytes that came from outside wait to be read", "--external pipe:[1]: no process of the container has"} {
		if got.Code != 1 || !strings.Contains(got.Stderr, want) {
			t.Errorf("it does not tell %q: %v", want, got)
		}
	}
	b := make([]byte, 10)
	if n, err := r.Read(b); err != nil || string(b[:n]) != "unread" {
		t.Errorf("it was read: %q, %v", b[:n], err)
	}
}
