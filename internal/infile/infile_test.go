package infile

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

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

var content = bytes.Repeat([]byte("0123456789abcdef"), 200_000)

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := in.Reader().(*os.File); !ok || !in.IsFile() || in.Spool() != nil {
		t.Error("a regular file is not taken as one")
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err = Use(t.Context(), int(f.Fd()), time.Second)
	if err != nil || !in.IsFile() {
		t.Errorf("a descriptor of a regular file: %v", err)
	}
	_ = in.Close()
	// From its middle it can only be read forward.
	if _, err := f.Seek(100, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	in, err = Use(t.Context(), int(f.Fd()), time.Second)
	if err != nil || in.IsFile() {
		t.Fatalf("a descriptor in the middle of a file: %v", err)
	}
	if b, err := io.ReadAll(in.Reader()); err != nil || !bytes.Equal(b, content[100:]) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestPipeAndSpool(t *testing.T) {
	for _, spool := range []bool{false, true} {
		r, w := pipe(t)
		in, err := Use(t.Context(), int(r.Fd()), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for i := 0; i < len(content); i += 1 << 20 {
				_, _ = w.Write(content[i:min(i+1<<20, len(content))])
				time.Sleep(time.Millisecond)
			}
			_ = w.Close()
		}()
		if spool {
			t.Setenv("TMPDIR", t.TempDir())
			if err := in.Spool(); err != nil {
				t.Fatal(err)
			}
			if _, ok := in.Reader().(*os.File); !ok {
				t.Error("what was spooled is no file")
			}
			if entries, _ := os.ReadDir(os.Getenv("TMPDIR")); len(entries) != 0 {
				t.Errorf("the copy has a name: %v", entries)
			}
		}
		if b, err := io.ReadAll(in.Reader()); err != nil || !bytes.Equal(b, content) {
			t.Errorf("spool %v: %d bytes, %v", spool, len(b), err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWriterWhoDoesNotWrite(t *testing.T) {
	r, _ := pipe(t)
	in, err := Use(t.Context(), int(r.Fd()), 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(in.Reader()); err == nil || !strings.Contains(err.Error(), "nothing came") {
		t.Errorf("read: %v", err)
	}
	_ = in.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if in, err = Use(ctx, int(r.Fd()), time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := in.Spool(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("spool until ctx ends: %v", err)
	}
	_ = in.Close()
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "no"): "no such file",
		dir:                      "no regular file",
		fifo:                     "no regular file",
		"/dev/zero":              "no regular file",
	} {
		if _, err := Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	_, w := pipe(t)
	terminal, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(terminal)
	for fd, want := range map[int]string{999: "is not open", int(w.Fd()): "not open for reading", terminal: "terminal"} {
		if _, err := Use(t.Context(), fd, time.Second); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("descriptor %d: %v, want %q", fd, err, want)
		}
	}
}
