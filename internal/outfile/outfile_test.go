package outfile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// both runs a test with an unnamed temporary file and with a named one.
func both(t *testing.T, test func(t *testing.T, create func(string) (*File, error))) {
	t.Run("unnamed", func(t *testing.T) { test(t, Create) })
	t.Run("named", func(t *testing.T) {
		test(t, func(name string) (*File, error) { return create(name, 0) })
	})
}

func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestFileAppearsWhenComplete(t *testing.T) {
	both(t, func(t *testing.T, create func(string) (*File, error)) {
		dir := t.TempDir()
		name := filepath.Join(dir, "state")
		for round := range 2 { // the second replaces the first
			o, err := create(name)
			if err != nil {
				t.Fatal(err)
			}
			content := bytes.Repeat([]byte{byte('a' + round)}, 20<<20)
			for i := 0; i < len(content); i += 1 << 20 {
				if _, err := o.Write(content[i : i+1<<20]); err != nil {
					t.Fatal(err)
				}
			}
			if round == 0 {
				if _, err := os.Stat(name); err == nil {
					t.Error("the file is there before Commit")
				}
			} else if b, _ := os.ReadFile(name); b[0] != 'a' || o.Remains() != name+" is as it was before" {
				t.Errorf("the old file is gone before Commit; %s", o.Remains())
			}
			if err := o.Commit(); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
				t.Errorf("the file is not what was written: %d bytes, %v", len(got), err)
			}
			if err := o.Abort(); err != nil {
				t.Error(err)
			}
			if s, _ := os.Stat(name); s.Mode() != 0o600 {
				t.Errorf("mode is %v", s.Mode())
			}
			if names := files(t, dir); names != "state" {
				t.Errorf("files %s", names)
			}
			if o.Remains() != name+" is complete" {
				t.Error(o.Remains())
			}
		}
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, create func(string) (*File, error)) {
		dir := t.TempDir()
		o, err := create(filepath.Join(dir, "state"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Write([]byte("bytes")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(o.Abort(), o.Abort()); err != nil {
			t.Error(err)
		}
		if names := files(t, dir); names != "" || o.Remains() != "nothing was written" {
			t.Errorf("files %s; %s", names, o.Remains())
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	fifo, link, regular := filepath.Join(dir, "fifo"), filepath.Join(dir, "dangling"), filepath.Join(dir, "regular")
	if err := errors.Join(unix.Mkfifo(fifo, 0o600), os.Symlink("nowhere", link), os.WriteFile(regular, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":                              "empty",
		dir:                             "is a directory",
		dir + "/":                       "is a directory",
		dir + "/new/":                   "name of a directory",
		filepath.Join(dir, "no", "dir"): "make it first",
		regular + "/x":                  "not a directory",
		fifo:                            "--statefd",
		"/dev/null":                     "--statefd",
		link:                            "leads nowhere",
		"/proc/x":                       "no file can be made",
	} {
		o, err := Create(name)
		if err == nil {
			_ = o.Abort()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

func TestSymbolicLinkStays(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(real, []byte("old"), 0o600), os.Symlink("real", link)); err != nil {
		t.Fatal(err)
	}
	o, err := Create(link)
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.Write([]byte("new"))
	if err := errors.Join(err, o.Commit(), o.Abort()); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(real); string(b) != "new" {
		t.Errorf("the file behind the link has %q", b)
	}
	if to, _ := os.Readlink(link); to != "real" {
		t.Errorf("the link leads to %q", to)
	}
}

// small mounts a tmpfs of 1 MiB.
func small(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a small tmpfs")
	}
	dir := t.TempDir()
	if err := unix.Mount("small", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFullDisk(t *testing.T) {
	both(t, func(t *testing.T, create func(string) (*File, error)) {
		dir := small(t)
		o, err := create(filepath.Join(dir, "state"))
		if err != nil {
			t.Fatal(err)
		}
		if free, ok := o.Free(); !ok || free > 1<<20 || free < 900<<10 {
			t.Errorf("free: %d, %v", free, ok)
		}
		_, err = o.Write(make([]byte, 2<<20))
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "full after 1.0 MiB") {
			t.Errorf("full disk: %v", err)
		}
		if err := o.Abort(); err != nil {
			t.Error(err)
		}
		if names := files(t, dir); names != "" {
			t.Errorf("files %s", names)
		}
	})
}

func TestCheckSpace(t *testing.T) {
	o, err := Create(filepath.Join(small(t), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Abort() }()
	for estimate, want := range map[uint64]string{100 << 10: "fits", 8 << 20: "tight", 100 << 20: "refused"} {
		got := "fits"
		if tight, err := CheckSpace(o, estimate); err != nil {
			got = "refused"
		} else if tight != "" {
			got = "tight"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", Size(estimate), got, want)
		}
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

func TestPipe(t *testing.T) {
	r, w := pipe(t)
	o, err := Use(t.Context(), int(w.Fd()), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	got := make(chan []byte)
	go func() {
		time.Sleep(50 * time.Millisecond)
		b, _ := io.ReadAll(r)
		got <- b
	}()
	if n, err := o.Write(content); err != nil || n != len(content) {
		t.Fatal(n, err)
	}
	if err := errors.Join(o.Commit(), o.Abort(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, content) {
		t.Error("the reader got something else")
	}
	if _, ok := o.Free(); ok {
		t.Error("a pipe has free space")
	}
}

func TestPipeWhoseReaderGoes(t *testing.T) {
	r, w := pipe(t)
	o, err := Use(t.Context(), int(w.Fd()), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		_ = r.Close()
	}()
	if _, err := o.Write(make([]byte, 1<<20)); !errors.Is(err, unix.EPIPE) || !strings.Contains(err.Error(), "closed its end") {
		t.Errorf("write: %v", err)
	}
	if !strings.Contains(o.Remains(), "no complete statefile") {
		t.Error(o.Remains())
	}
	_ = o.Abort()

	// The last bytes are still in the pipe when the reader goes.
	r, w = pipe(t)
	if o, err = Use(t.Context(), int(w.Fd()), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		_ = r.Close()
	}()
	if err := o.Commit(); !errors.Is(err, unix.EPIPE) {
		t.Errorf("commit: %v", err)
	}
	_ = o.Abort()
}

func TestReaderWhoDoesNotRead(t *testing.T) {
	_, w := pipe(t)
	o, err := Use(t.Context(), int(w.Fd()), 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Write(make([]byte, 1<<20)); err == nil || !strings.Contains(err.Error(), "nobody has read") {
		t.Errorf("write: %v", err)
	}
	if err := o.Commit(); err == nil || !strings.Contains(err.Error(), "last 65536 bytes") {
		t.Errorf("commit: %v", err)
	}
	_ = o.Abort()

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if o, err = Use(ctx, int(w.Fd()), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Write(make([]byte, 1<<20)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("write until ctx ends: %v", err)
	}
	_ = o.Abort()
}

func TestSocket(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	o, err := Use(t.Context(), fds[0], time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	n := make(chan int64)
	go func() {
		f := os.NewFile(uintptr(fds[1]), "socket")
		c, _ := io.Copy(io.Discard, f)
		n <- c
	}()
	if _, err := o.Write(make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(o.Commit(), o.Abort(), unix.Close(fds[0])); err != nil {
		t.Fatal(err)
	}
	if c := <-n; c != 3<<20 {
		t.Errorf("%d bytes arrived", c)
	}
}

func TestUseRefuses(t *testing.T) {
	r, _ := pipe(t)
	open := func(name string, flags int) int {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	lone, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(lone)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	orphan, w := pipe(t)
	_ = orphan.Close()
	for want, fd := range map[string]int{
		"descriptor 999 is not open":      999,
		"is not open for writing":         int(r.Fd()),
		"not open for writing: redirect":  open("/etc/passwd", unix.O_RDONLY),
		"not open for writing: redirect ": open("/", unix.O_RDONLY),
		"is a terminal":                   open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY),
		"not connected":                   lone,
		"needs a stream":                  pair[0],
		"nobody has the other end":        int(w.Fd()),
	} {
		if _, err := Use(t.Context(), fd, time.Second); err == nil || !strings.Contains(err.Error()+" ", strings.TrimSpace(want)) {
			t.Errorf("descriptor %d: %v, want %q", fd, err, want)
		}
	}
}

func TestRegularFileDescriptorIsNotSeeked(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := f.WriteString("before ")
	o, err2 := Use(t.Context(), int(f.Fd()), time.Second)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	_, err = o.Write([]byte("after"))
	if err := errors.Join(err, o.Commit(), o.Abort()); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(f.Name()); string(b) != "before after" {
		t.Errorf("the file has %q", b)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 5 << 29: "2.5 GiB", 1<<64 - 1: "16.0 EiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
