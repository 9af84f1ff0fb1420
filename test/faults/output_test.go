package faults

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/test/harness"
)

// failure is a checkpoint that has to fail once it has begun to write: what can
// be seen before is tested with the command itself (cmd/lxc-checkpoint).
type failure struct {
	what string
	args []string
	// change changes how lxc-checkpoint is started; nil: not at all.
	change  func(*exec.Cmd)
	message string // what its message has
	state   string // how the message ends, after the words about the container
	after   func(when string)
}

// fails tries one with everything that may become of the container afterwards:
// nothing may.
func (b *box) fails(f failure) {
	b.t.Helper()
	for _, then := range []string{"", "-k", "-p"} {
		args := b.args(f.args...)
		if then != "" {
			args = append(args, then)
		}
		r := harness.RunWith(b.t, f.change, harness.Tool(b.t, "lxc-checkpoint"), args...)
		if r.Code != 1 || !strings.HasPrefix(r.Stderr, "lxc-checkpoint: ") || strings.Count(r.Stderr, "\n") != 1 ||
			!strings.Contains(r.Stderr, f.message) ||
			!strings.HasSuffix(r.Stderr, " still runs; "+f.state+"\n") {
			b.t.Errorf("%s %s: want exit code 1 and one line with %q and %q: %v", f.what, then, f.message, f.state, r)
		}
		if f.after != nil {
			f.after(f.what + " " + then)
		}
		b.goesOn(f.what + " " + then)
	}
}

// small mounts a file system that has no room for what c/ring.c has in memory.
// Its estimate says that it might: most memory compresses.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("small", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func used(t *testing.T, dir string) uint64 {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	return fs.Blocks - fs.Bfree
}

func outputBox(t *testing.T) *box {
	t.Helper()
	return newBox(t, someHierarchy(t), "ring", 8)
}

func TestFullDisk(t *testing.T) {
	b := outputBox(t)
	dir := small(t)
	file := filepath.Join(dir, "state")
	empty := used(t, dir)
	b.fails(failure{
		what: "full disk", args: []string{"-S", file},
		message: "its file system is full after ", state: "nothing was written",
		after: func(when string) {
			b.files(when, dir)
			if n := used(t, dir); n != empty {
				t.Errorf("%s: %d blocks are used, %d were before", when, n, empty)
			}
		},
	})
	// The same to a descriptor: the file is the caller's, and stays.
	open := func(c *exec.Cmd) {
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		c.ExtraFiles = []*os.File{f}
	}
	b.fails(failure{
		what: "full disk behind a descriptor", args: []string{"-d", "3"}, change: open,
		message: "descriptor 3: its file system is full after ", state: "what descriptor 3 got is no complete statefile",
	})
	b.judge()
}

// TestExistingFile: what was under FILE's name stays until the new one is
// complete, and is replaced then.
func TestExistingFile(t *testing.T) {
	b := outputBox(t)
	dir := small(t)
	file := filepath.Join(dir, "state")
	older := bytes.Repeat([]byte("an older one\n"), 1000)
	if err := os.WriteFile(file, older, 0o640); err != nil {
		t.Fatal(err)
	}
	b.fails(failure{
		what: "full disk with an older file", args: []string{"-S", file},
		message: "its file system is full after ", state: file + " is as it was before",
		after: func(when string) {
			b.files(when, dir, "state")
			if text, err := os.ReadFile(file); err != nil || !bytes.Equal(text, older) {
				t.Errorf("%s: the older file has %d bytes, %v", when, len(text), err)
			}
		},
	})
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	b.checkpoint("-S", file)
	b.verify("with room", file)
	b.files("with room", dir, "state")
	if s, err := os.Stat(file); err != nil || s.Mode() != 0o600 {
		t.Errorf("with room: mode %v, %v", s.Mode(), err)
	}
	b.judge()
}

// TestFileSizeLimit: SIGXFSZ, which comes with the error, ends nothing.
func TestFileSizeLimit(t *testing.T) {
	b := outputBox(t)
	limit := func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `ulimit -f 1024; exec "$0" "$@"`, c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
	}
	b.fails(failure{
		what: "a limit of the file size", args: []string{"-S", b.statefile()}, change: limit,
		message: "ulimit -f", state: "nothing was written",
		after: func(when string) { b.files(when, b.states) },
	})
	b.judge()
}

// TestUnwritableDirectory: one that even root may not write in.
func TestUnwritableDirectory(t *testing.T) {
	b := outputBox(t)
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const immutable = 0x10 // FS_IMMUTABLE_FL (include/uapi/linux/fs.h)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags|immutable)
	}
	if err != nil {
		t.Skipf("the file system of %s knows no immutable directories: %v", dir, err)
	}
	defer func() {
		if err := unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags); err != nil {
			t.Error(err)
		}
	}()
	b.fails(failure{
		what: "an immutable directory", args: []string{"-S", filepath.Join(dir, "state")},
		message: "no file can be made in " + dir + ": operation not permitted", state: "nothing was written",
		after: func(when string) { b.files(when, dir) },
	})
	b.judge()
}

// TestReaderGoesAway: whoever reads a pipe or a socket closes it after some
// bytes, the last ones included.
func TestReaderGoesAway(t *testing.T) {
	b := outputBox(t)
	size := b.checkpointSize()
	for kind, open := range map[string]func() (r, w *os.File, err error){"pipe": os.Pipe, "socket": socketPair} {
		for range harness.Rounds(2, 50) {
			after := rand.Int64N(size * 9 / 10)
			change := func(c *exec.Cmd) {
				r, w, err := open()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { w.Close() })
				c.ExtraFiles = []*os.File{w}
				go func() {
					_, _ = io.CopyN(io.Discard, r, after)
					_ = r.Close()
				}()
			}
			b.fails(failure{
				what: "a " + kind + " that is closed", args: []string{"-d", "3"}, change: change,
				message: "descriptor 3: the reader has closed its end after ", state: "what descriptor 3 got is no complete statefile",
			})
		}
	}
	b.judge()
}

// TestReaderWaits: nobody waits for a reader for ever.
func TestReaderWaits(t *testing.T) {
	b := outputBox(t)
	change := func(c *exec.Cmd) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		c.ExtraFiles = []*os.File{w}
	}
	b.fails(failure{
		what: "a pipe that nobody reads", args: []string{"-d", "3", "--timeout", "0.1"}, change: change,
		message: "descriptor 3: nobody has read from it for 600ms", state: "what descriptor 3 got is no complete statefile",
	})
	b.judge()
}

// checkpointSize is how large a statefile of the container is.
func (b *box) checkpointSize() int64 {
	b.t.Helper()
	b.checkpoint("-S", b.statefile())
	s, err := os.Stat(b.statefile())
	if err != nil {
		b.t.Fatal(err)
	}
	return s.Size()
}

func socketPair() (r, w *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer"), nil
}

// TestWithoutRoot: without root, or as root without a capability, the message
// names what is missing, and nothing is done.
func TestWithoutRoot(t *testing.T) {
	b := outputBox(t)
	b.checkpoint("-S", b.statefile())
	whole, err := os.ReadFile(b.statefile())
	if err != nil {
		t.Fatal(err)
	}
	// The commands have to lie where anybody reaches them.
	tools, err := os.MkdirTemp("/tmp", "lxc-checkpoint-faults-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tools)
	if err := os.Chmod(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	// Privileges of others, by util-linux's setpriv.
	nobody := []string{"--reuid=65534", "--regid=65534", "--clear-groups"}
	lacks := []string{"--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"}
	for _, c := range []struct {
		tool string
		args []string
	}{
		{"lxc-checkpoint", b.args("-S", b.statefile(), "-k")},
		{"lxc-restart", []string{"--native", "--cgroup=" + b.cgroup.Dir, "-n", "faults", "-S", b.statefile()}},
	} {
		tool := filepath.Join(tools, c.tool)
		text, err := os.ReadFile(harness.Tool(t, c.tool))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(tool, text, 0o755); err != nil {
			t.Fatal(err)
		}
		for who, want := range map[string]string{"nobody": "only root may do this: become root (missing: CAP_SYS_PTRACE, ", "root": "CAP_SYS_PTRACE"} {
			privileges := nobody
			if who == "root" {
				privileges = lacks
			}
			r := harness.Run(t, "setpriv", slices.Concat(privileges, []string{tool}, c.args)...)
			if r.Code != 1 || !strings.HasPrefix(r.Stderr, c.tool+": ") || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, want) {
				t.Errorf("%s as %s: want exit code 1 and %q: %v", c.tool, who, want, r)
			}
			b.goesOn(c.tool + " as " + who)
		}
	}
	if now, err := os.ReadFile(b.statefile()); err != nil || !bytes.Equal(now, whole) {
		t.Errorf("the statefile has changed: %v", err)
	}
	b.judge()
}
