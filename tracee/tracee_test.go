package tracee

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// compile builds a program of testdata and returns its path.
func compile(t *testing.T, name string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	if b, err := exec.Command("gcc", "-O1", "-pthread", "-o", out, "testdata/"+name+".c").CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", name, err, b)
	}
	return out
}

// target is a running program.
type target struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs a program until it has said "ready".
func start(t *testing.T, path string, args ...string) *target {
	t.Helper()
	p := &target{Cmd: exec.Command(path, args...)}
	var err error
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	if line := p.line(t); line != "ready" {
		t.Fatalf("%s said %q", path, line)
	}
	return p
}

func (p *target) line(t *testing.T) string {
	t.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("target said %q: %v", s, err)
	}
	return strings.TrimSpace(s)
}

// stop seizes a thread and waits for its stop.
func stop(t *testing.T, tid int) *Thread {
	t.Helper()
	before := SeeCall(tid)
	th, err := Seize(tid, Options{SuspendSeccomp: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := th.Interrupt(); err != nil {
		t.Fatal(err)
	}
	s, err := th.Wait(limit(t))
	if err != nil || s.Kind != EventStop {
		t.Fatalf("Wait = %v, %v", s, err)
	}
	if err := th.Mend(before); err != nil {
		t.Fatal(err)
	}
	return th
}

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func lock(t *testing.T) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

func detach(t *testing.T, th *Thread) {
	t.Helper()
	if err := th.Detach(0); err != nil {
		t.Fatal(err)
	}
}

// TestInFlight stops programs in the middle of a system call, makes other
// calls in them, and lets them go on: they can't tell.
func TestInFlight(t *testing.T) {
	path := compile(t, "inflight")
	for _, c := range []struct {
		how  string
		feed string // written to standard input after the release
		sig  unix.Signal
		want string // what it says, but for the time
		long bool   // it lasts half a second, and no longer
		anew bool   // unless its timeout begins anew
	}{
		{how: "nanosleep", want: "0 0 got=0", long: true},
		{how: "poll", feed: "x", want: "1 0 got=0"},
		{how: "polltimeout", want: "0 0 got=0", long: true},
		{how: "read", feed: "x", want: "1 0 got=0"},
		{how: "futex", want: "-1 110 got=0", long: true},
		{how: "epoll", feed: "x", want: "1 0 got=0"},
		{how: "epoll", sig: unix.SIGUSR1, want: "-1 4 got=10"},
		{how: "sigtimedwait", long: true, anew: true, want: "-1 11 got=0"},
		{how: "pause", sig: unix.SIGUSR1, want: "-1 4 got=10"},
		{how: "sigsuspend", sig: unix.SIGUSR1, want: "-1 4 got=10"},
		{how: "spin", want: "0 0 got=0"},
	} {
		for _, during := range []bool{false, true} {
			if during && c.sig == 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s,during=%v", c.how, during), func(t *testing.T) {
				lock(t)
				p := start(t, path, c.how)
				time.Sleep(100 * time.Millisecond)
				th := stop(t, p.Process.Pid)
				before, err := th.RegisterSets()
				if err != nil {
					t.Fatal(err)
				}
				mask, err := th.SignalMask()
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					inject(t, th, p.Process.Pid)
				}
				if during {
					unix.Kill(p.Process.Pid, c.sig)
					inject(t, th, p.Process.Pid)
				}
				after, err := th.RegisterSets()
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(before, after) {
					t.Errorf("registers before\n%v\nafter\n%v", before, after)
				}
				if m, err := th.SignalMask(); err != nil || m != mask {
					t.Errorf("signal mask %#x, %v; before %#x", m, err, mask)
				}
				detach(t, th)
				if c.sig != 0 && !during {
					unix.Kill(p.Process.Pid, c.sig)
				}
				if c.feed != "" {
					io.WriteString(p.in, c.feed)
				}
				line := p.line(t)
				blocked := 0
				if c.how == "sigsuspend" {
					blocked = 1
				}
				if want := fmt.Sprintf("%s trap=ignored blocked=%d ", c.want, blocked); !strings.HasPrefix(line, want) {
					t.Errorf("it said %q, want %q", line, want)
				}
				if c.long {
					var took float64
					fmt.Sscanf(line[strings.LastIndexByte(line, '=')+1:], "%g", &took)
					if took < 0.45 || took > 0.58 && !c.anew {
						t.Errorf("it took %v s instead of 0.5: %q", took, line)
					}
				}
			})
		}
	}
}

// inject makes some calls in a stopped thread and checks what they return.
func inject(t *testing.T, th *Thread, pid int) {
	t.Helper()
	r, err := th.Remote(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Call(unix.SYS_GETPID); err != nil || int(got) != pid {
		t.Errorf("getpid = %d, %v; want %d", got, err, pid)
	}
	if _, err := r.Call(unix.SYS_CLOSE, 12345); !errors.Is(err, unix.EBADF) {
		t.Errorf("close of nothing: %v", err)
	}
	at, err := r.Scratch(64)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Call(unix.SYS_GETCWD, at, 64); err != nil {
		t.Errorf("getcwd: %v", err)
	}
	b := make([]byte, 64)
	if err := r.Read(at, b); err != nil {
		t.Error(err)
	}
	cwd, _ := os.Getwd()
	if !strings.HasPrefix(cwd+"\x00", string(b[:min(len(cwd)+1, 64)])) {
		t.Errorf("getcwd = %q, want %q", b, cwd)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if th.Last().Kind != EventStop {
		t.Errorf("after Close the thread is in a %v", th.Last().Kind)
	}
}
