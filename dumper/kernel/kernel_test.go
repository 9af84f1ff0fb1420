package kernel

import (
	"bytes"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/bpf"
	"lxc-checkpoint/internal/need"
)

// opened is the kernel's memory, and where our own process is there.
func opened(t *testing.T) (m *Memory, task uint64) {
	t.Helper()
	need.Check(t, need.Root, need.BTF)
	teller, err := bpf.Open()
	if err != nil {
		t.Skip("this kernel can't be read: ", err)
	}
	t.Cleanup(func() { teller.Close() })
	// Told is only of who is traced.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child := exec.Command("true")
	child.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	facts, err := teller.Tasks([]int{child.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	k, err := bpf.OpenMemory()
	if err != nil {
		t.Skip("this kernel can't be read: ", err)
	}
	t.Cleanup(func() { k.Close() })
	m = New(k, facts[child.Process.Pid].Address)
	if task, err = m.ourselves(); err != nil {
		t.Fatal(err)
	}
	return m, task
}

// TestTrigger: what is told of files of pressure is what was written into them.
func TestTrigger(t *testing.T) {
	m, task := opened(t)
	tried := 0
	for _, c := range []struct {
		path, text  string
		cgroup, irq bool
		want        Trigger
	}{
		{"/proc/pressure/memory", "some 150000 2000000", false, false, Trigger{false, 150e6, 2e9}},
		{"/proc/pressure/memory", "full 1000 4000000", false, false, Trigger{true, 1e6, 4e9}},
		{"/proc/pressure/cpu", "some 2000 2000000", false, false, Trigger{false, 2e6, 2e9}},
		{"/proc/pressure/io", "full 3000 2000000", false, false, Trigger{true, 3e6, 2e9}},
		{"/proc/pressure/irq", "full 4000 2000000", false, true, Trigger{true, 4e6, 2e9}},
		{"/sys/fs/cgroup/unified/io.pressure", "some 5000 2000000", true, false, Trigger{false, 5e6, 2e9}},
		{"/sys/fs/cgroup/io.pressure", "some 5000 2000000", true, false, Trigger{false, 5e6, 2e9}},
	} {
		f, err := os.OpenFile(c.path, os.O_RDWR, 0)
		if err != nil {
			t.Logf("not tried: %v", err) // this kernel or its cgroups have it not
			continue
		}
		defer f.Close()
		if got, err := m.Trigger(task, uint32(f.Fd()), c.cgroup, c.irq); err != nil || got != nil {
			t.Errorf("%s: nothing was written there, and it is %v, %v", c.path, got, err)
		}
		if _, err := f.WriteString(c.text + "\x00"); err != nil {
			t.Logf("not tried: %v", err)
			continue
		}
		tried++
		if got, err := m.Trigger(task, uint32(f.Fd()), c.cgroup, c.irq); err != nil || got == nil || *got != c.want {
			t.Errorf("%s: of %q is told %v, %v", c.path, c.text, got, err)
		}
	}
	if tried == 0 {
		t.Skip("this kernel has no pressure to wait for")
	}
}

// TestAccepting: what is told of connections that wait to be accepted is what
// their peers have sent, and what is found out when they are accepted after all.
func TestAccepting(t *testing.T) {
	m, task := opened(t)
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		var c net.ListenConfig
		c.SetMultipathTCP(false) // whose sockets are of another kind
		l, err := c.Listen(t.Context(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var sent [3][]byte
		var clients [3]net.Conn
		for i, n := range []int{0, 5000, 300_000} {
			if clients[i], err = net.Dial(network, l.Addr().String()); err != nil {
				t.Fatal(err)
			}
			defer clients[i].Close()
			sent[i] = make([]byte, n)
			_, _ = rand.Read(sent[i])
			_ = clients[i].SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			_, _ = clients[i].Write(sent[i]) // it may not all fit
		}
		sk, err := m.Socket(task, uint32(file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		all, err := m.Accepting(sk)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != len(sent) {
			t.Fatalf("%s: %d wait, not %d", network, len(all), len(sent))
		}
		for i, w := range all {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if w.Remote.String() != c.RemoteAddr().String() || w.Local.String() != c.LocalAddr().String() {
				t.Errorf("%s: %v to %v waits, and %v to %v is accepted", network, w.Remote, w.Local, c.RemoteAddr(), c.LocalAddr())
			}
			if !bytes.Equal(w.Unread, sent[i][:len(w.Unread)]) || len(w.Unread) < min(len(sent[i]), 60_000) {
				t.Errorf("%s: of %d bytes %d are told, or others", network, len(sent[i]), len(w.Unread))
			}
			compareRepaired(t, c.(*net.TCPConn), w)
		}
	}
}

// compareRepaired compares with what the kernel tells in repair mode.
func compareRepaired(t *testing.T, c *net.TCPConn, w *Waiting) {
	t.Helper()
	file, err := c.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd := int(file.Fd())
	for _, step := range [][2]int{{unix.TCP_REPAIR, unix.TCP_REPAIR_ON}, {unix.TCP_REPAIR_QUEUE, 2}} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	next, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ)
	if err != nil {
		t.Fatal(err)
	}
	segment, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG)
	if err != nil {
		t.Fatal(err)
	}
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Fatal(err)
	}
	const sack, scaling = 2, 4
	if uint32(next) != w.Send || segment != int(w.MaximumSegment) || info.State != w.State ||
		(info.Options&sack != 0) != w.SelectiveAcknowledgement || (info.Options&scaling != 0) != w.WindowScaling || info.Snd_wnd != w.Window {
		t.Errorf("told was %+v, and it is in state %d, sends byte %d next, in segments of %d, with options %#x and window %d",
			Waiting{State: w.State, Send: w.Send, MaximumSegment: w.MaximumSegment, Window: w.Window, SelectiveAcknowledgement: w.SelectiveAcknowledgement, WindowScaling: w.WindowScaling},
			info.State, uint32(next), segment, info.Options, info.Snd_wnd)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_OFF_NO_WP); err != nil {
		t.Fatal(err)
	}
}

// TestUnix: what is told of connections that wait to be accepted at a UNIX socket is
// what was sent over them, by whom.
func TestUnix(t *testing.T) {
	m, task := opened(t)
	name := "@" + t.Name() + strconv.Itoa(os.Getpid())
	for _, network := range []string{"unix", "unixpacket"} {
		l, err := net.Listen(network, name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		file, err := l.(*net.UnixListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		sent := [][]byte{nil, []byte("some"), make([]byte, 100_000)}
		_, _ = rand.Read(sent[2])
		for i, b := range sent {
			c, err := net.Dial(network, name)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if len(b) > 0 {
				if _, err := c.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			if i == 1 {
				c.Close()
			}
		}
		sk, err := m.Socket(task, uint32(file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		u, err := m.Unix(task, 200_000)
		if err != nil {
			t.Fatal(err)
		}
		all, err := u.Waiting(sk)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != len(sent) {
			t.Fatalf("%s: %d wait, not %d", network, len(all), len(sent))
		}
		for i, a := range all {
			var got []byte
			for _, m := range a.Queue {
				got = append(got, m.Data...)
			}
			if !bytes.Equal(got, sent[i]) || network == "unixpacket" && len(a.Queue) != min(len(sent[i]), 1) {
				t.Errorf("%s: of %d bytes %d are told, in %d parts, or others", network, len(sent[i]), len(got), len(a.Queue))
			}
			if c := a.Credentials; c == nil || c.PID != os.Getpid() || int(c.UID) != os.Geteuid() || int(c.GID) != os.Getegid() {
				t.Errorf("%s: who has connected is %+v", network, c)
			}
			if closed := i == 1; closed != (a.Inode == 0) || closed != (a.Shutdown == 3) || a.Urgent {
				t.Errorf("%s: connection %d is told as %d, %d, %t", network, i, a.Inode, a.Shutdown, a.Urgent)
			}
		}
		if u, err = m.Unix(task, 1000); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Waiting(sk); err == nil {
			t.Errorf("%s: more is read than there is room for", network)
		}
		l.Close()
		file.Close()
	}
}
