package fds

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

func TestRegularFiles(t *testing.T) {
	h := newHelper(t)
	must(t, os.WriteFile(h.root("/data/f"), []byte("0123456789"), 0o644))
	s := &format.Skeleton{OpenFiles: []*format.OpenFile{
		regular(h, 1, "/data/f", unix.O_RDONLY, 4),
		regular(h, 2, "/data/f", unix.O_RDWR|unix.O_NOATIME, 0),
		regular(h, 3, "/data/f", unix.O_WRONLY|unix.O_APPEND|unix.O_NONBLOCK|unix.O_SYNC, 1<<40),
		regular(h, 4, "/data/f", unix.O_PATH|unix.O_NOFOLLOW, 0),
		// As F_GETFL shows what was said at open(2).
		regular(h, 5, "/data/f", unix.O_RDONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_EXCL|unix.O_CLOEXEC, 0),
	}}
	s.Files = []*format.Files{at(s.OpenFiles...)}
	build(t, s, h)
	for i, f := range s.OpenFiles {
		got := h.call(unix.SYS_FCNTL, uint64(10+i), unix.F_GETFL) &^ largefile
		want := uint64(f.Flags) &^ (unix.O_CREAT | unix.O_TRUNC | unix.O_EXCL | unix.O_CLOEXEC)
		if got != want {
			t.Errorf("descriptor %d: flags %#o, want %#o", 10+i, got, want)
		}
		if pos := h.info(10+i, "pos"); pos != fmt.Sprint(f.Position) {
			t.Errorf("descriptor %d: position %s, want %d", 10+i, pos, f.Position)
		}
	}
	if s, err := h.read(10, 3); s != "456" || err != nil {
		t.Errorf("read %q, %v", s, err)
	}
}

// largefile is O_LARGEFILE of the kernel, which x/sys has as 0.
var largefile = map[string]uint64{"amd64": 0o100000, "arm64": 0o400000}[runtime.GOARCH]

func TestDirectory(t *testing.T) {
	h := newHelper(t)
	for i := range 100 {
		must(t, os.WriteFile(h.root(fmt.Sprintf("/data/%03d", i)), nil, 0o644))
	}
	// Read a part of it, as a program would.
	fd, err := unix.Open(h.root("/data"), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	b := make([]byte, 1024)
	_, err = unix.Getdents(fd, b)
	must(t, err)
	pos, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	must(t, err)
	n, err := unix.Getdents(fd, b)
	must(t, err)
	f := &format.OpenFile{Id: 1, Flags: unix.O_DIRECTORY, Position: pos, Kind: &format.OpenFile_Directory{Directory: identify(h, "/data")}}
	build(t, &format.Skeleton{OpenFiles: []*format.OpenFile{f}, Files: []*format.Files{at(f)}}, h)
	if m := h.call(unix.SYS_GETDENTS64, 10, h.scratch, 1024); int(m) != n {
		t.Errorf("%d bytes of entries, not %d", m, n)
	}
	got := make([]byte, n)
	must(t, h.Read(h.scratch, got))
	if string(got) != string(b[:n]) {
		t.Error("other entries follow than before")
	}
}

func TestDevices(t *testing.T) {
	h := newHelper(t)
	s := &format.Skeleton{}
	names := []string{"null", "zero", "full", "random", "urandom"}
	for i, n := range names {
		s.OpenFiles = append(s.OpenFiles, &format.OpenFile{Id: uint32(i + 1), Flags: unix.O_RDWR, Kind: &format.OpenFile_Device{Device: identify(h, "/dev/"+n)}})
	}
	s.Files = []*format.Files{at(s.OpenFiles...)}
	build(t, s, h)
	for i, n := range names {
		if !strings.HasSuffix(h.link(10+i), "/dev/"+n) {
			t.Errorf("descriptor %d is %s", 10+i, h.link(10+i))
		}
	}
	tty := &format.OpenFile{Id: 1, Flags: unix.O_RDWR, Kind: &format.OpenFile_Device{Device: identify(h, "/dev/tty")}}
	_, err := tryBuild(t, &format.Skeleton{OpenFiles: []*format.OpenFile{tty}}, h)
	wantError(t, err, "/dev/tty", "is not one of the devices")
	zero := identify(h, "/dev/null")
	zero.Path = "/dev/zero"
	_, err = tryBuild(t, &format.Skeleton{OpenFiles: []*format.OpenFile{{Id: 1, Kind: &format.OpenFile_Device{Device: zero}}}}, h)
	wantError(t, err, "/dev/zero: it is another device", "1:3", "1:5")
}

func TestFileThatIsNotTheSame(t *testing.T) {
	h := newHelper(t)
	name := h.root("/data/f")
	write := func(text string) { must(t, os.WriteFile(name, []byte(text), 0o644)) }
	for _, test := range []struct {
		what   string
		flags  int
		exec   bool // as of an executed file
		change func()
		says   string // "" if it is let through
	}{
		{"same", unix.O_RDONLY, true, func() {}, ""},
		{"gone", unix.O_RDONLY, false, func() { must(t, os.Remove(name)) }, "/data/f: it does not exist"},
		{"copied with its times", unix.O_RDONLY, true, func() {
			st, _ := os.Stat(name)
			os.Rename(name, name+".old")
			write("0123456789")
			os.Chtimes(name, st.ModTime(), st.ModTime())
		}, ""},
		{"copied with times in seconds", unix.O_RDONLY, true, func() {
			st, _ := os.Stat(name)
			os.Chtimes(name, time.Time{}, st.ModTime().Truncate(time.Second))
		}, ""},
		{"same size, other time", unix.O_RDONLY, true, func() { os.Chtimes(name, time.Time{}, time.Unix(1e9, 5)) }, "has changed since the checkpoint"},
		{"same size, other time, data", unix.O_RDONLY, false, func() { os.Chtimes(name, time.Time{}, time.Unix(1e9, 5)) }, ""},
		{"grown", unix.O_RDWR, false, func() { write("0123456789abc") }, ""},
		{"grown, executed", unix.O_RDONLY, true, func() { write("0123456789abc") }, "of 10 bytes"},
		{"shorter", unix.O_RDWR, false, func() { write("012") }, "is shorter than at the checkpoint"},
		{"shorter, names what it is", unix.O_RDWR, false, func() { write("012") }, "is a regular file of 3 bytes"},
		{"log rotated", unix.O_WRONLY | unix.O_APPEND, false, func() { write("") }, ""},
		{"directory", unix.O_RDONLY, false, func() { os.Remove(name); os.Mkdir(name, 0o755) }, "is a directory"},
		{"FIFO, which must not block", unix.O_RDONLY, false, func() { os.Remove(name); unix.Mkfifo(name, 0o644) }, "is a FIFO"},
		{"symbolic link out of the root", unix.O_RDONLY, false, func() { os.Remove(name); os.Symlink("/../../etc/passwd", name) }, "does not exist"},
	} {
		t.Run(test.what, func(t *testing.T) {
			os.RemoveAll(name)
			write("0123456789")
			os.Chtimes(name, time.Time{}, time.Unix(1e9, 7))
			id := identify(h, "/data/f")
			test.change()
			r, err := New(&format.Skeleton{}, h, nil)
			must(t, err)
			defer r.Close()
			var fd int
			if test.exec {
				fd, err = r.Open(id, test.flags)
			} else {
				fd, err = r.OpenData(id, test.flags)
			}
			if test.says != "" {
				wantError(t, err, test.says)
				return
			}
			must(t, err)
			unix.Close(fd)
		})
	}
}

// TestAllowChanged: the same file with other content is taken, another kind of
// file is not.
func TestAllowChanged(t *testing.T) {
	h := newHelper(t)
	name := h.root("/data/f")
	must(t, os.WriteFile(name, []byte("0123456789"), 0o644))
	id := identify(h, "/data/f")
	must(t, os.WriteFile(name, []byte("012"), 0o644))
	r, err := New(&format.Skeleton{}, h, nil)
	must(t, err)
	defer r.Close()
	for _, open := range []func(*format.FileIdentity, int) (int, error){r.Open, r.OpenData} {
		r.AllowChanged = false
		_, err := open(id, unix.O_RDONLY)
		wantError(t, err, "--allow-changed")
		r.AllowChanged = true
		fd, err := open(id, unix.O_RDONLY)
		must(t, err)
		unix.Close(fd)
	}
	must(t, os.Remove(name))
	must(t, os.Mkdir(name, 0o755))
	_, err = r.Open(id, unix.O_RDONLY)
	wantError(t, err, "another type of file")
}

func TestPipes(t *testing.T) {
	h := newHelper(t)
	end := func(id, pipe uint32, flags int) *format.OpenFile {
		return &format.OpenFile{Id: id, Flags: uint32(flags), Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: pipe}}}
	}
	long := strings.Repeat("0123456789abcdef", 8192)[:131072]
	s := &format.Skeleton{
		OpenFiles: []*format.OpenFile{
			end(1, 21, unix.O_RDONLY), end(2, 21, unix.O_WRONLY|unix.O_NONBLOCK), // both ends
			end(3, 22, unix.O_RDONLY|unix.O_NONBLOCK),                          // nobody writes any more
			end(4, 23, unix.O_WRONLY),                                          // nobody reads
			end(5, 24, unix.O_WRONLY|unix.O_DIRECT), end(6, 24, unix.O_RDONLY), // packets
			end(7, 25, unix.O_RDWR), end(8, 25, unix.O_RDONLY), end(9, 25, unix.O_RDONLY|unix.O_NONBLOCK), // opened again
		},
		Pipes: []*format.Pipe{
			{Id: 21, Capacity: 131072, Data: []byte(long)}, {Id: 22, Capacity: 4096, Data: []byte("last words")}, {Id: 23, Capacity: 65536},
			{Id: 24, Capacity: 65536, Data: []byte("onethreetwo"), Packets: []uint32{3, 5, 3}}, {Id: 25, Capacity: 65536, Data: []byte("abc")},
		},
	}
	s.Files = []*format.Files{at(s.OpenFiles...)}
	r := build(t, s, h)
	must(t, r.Close()) // else the pipes keep their ends
	for i, want := range []string{0: "131072", 2: "4096", 3: "65536"} {
		if want != "" {
			if got := fmt.Sprint(h.call(unix.SYS_FCNTL, uint64(10+i), unix.F_GETPIPE_SZ)); got != want {
				t.Errorf("descriptor %d: capacity %s, want %s", 10+i, got, want)
			}
		}
	}
	for i, f := range s.OpenFiles {
		if got := h.call(unix.SYS_FCNTL, uint64(10+i), unix.F_GETFL) &^ largefile; got != uint64(f.Flags) {
			t.Errorf("descriptor %d: flags %#o, want %#o", 10+i, got, f.Flags)
		}
	}
	if _, err := h.Call(unix.SYS_WRITE, 11, h.give([]byte("x")), 1); err != unix.EAGAIN {
		t.Errorf("the pipe is full, but write says %v", err)
	}
	var got strings.Builder
	for got.Len() < len(long) {
		s, err := h.read(10, 60000)
		must(t, err)
		got.WriteString(s)
	}
	if got.String() != long {
		t.Error("other content")
	}
	for _, want := range []string{"last words", ""} {
		if s, err := h.read(12, 100); s != want || err != nil {
			t.Errorf("read %q, %v; want %q", s, err, want)
		}
	}
	if _, err := h.Call(unix.SYS_WRITE, 13, h.scratch, 1); err != unix.EPIPE {
		t.Errorf("write without a reader: %v", err)
	}
	for _, want := range []string{"one", "three", "two"} {
		if s, err := h.read(15, 100); s != want || err != nil {
			t.Errorf("packet %q, %v; want %q", s, err, want)
		}
	}
	h.call(unix.SYS_WRITE, 16, h.give([]byte("def")), 3)
	if s, err := h.read(17, 4); s != "abcd" || err != nil {
		t.Errorf("read %q, %v", s, err)
	}
	if s, err := h.read(18, 4); s != "ef" || err != nil {
		t.Errorf("read %q, %v", s, err)
	}
}

func TestPipeThatCannotBe(t *testing.T) {
	h := newHelper(t)
	try := func(p *format.Pipe) error {
		p.Id = 9
		_, err := tryBuild(t, &format.Skeleton{Pipes: []*format.Pipe{p}, OpenFiles: []*format.OpenFile{{Id: 1, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 9}}}}}, h)
		return err
	}
	wantError(t, try(&format.Pipe{Capacity: 4096, Data: make([]byte, 5000)}), "do not fit")
	wantError(t, try(&format.Pipe{Capacity: 65536, Data: make([]byte, 10), Packets: []uint32{11}}), "packet 1 of 1")
	wantError(t, try(&format.Pipe{Capacity: 65536, Data: make([]byte, 10), Packets: []uint32{4}}), "belong to no packet")
	wantError(t, try(&format.Pipe{Capacity: 1 << 31, Data: nil}), "pipe")
	if err := try(&format.Pipe{Capacity: 4 << 20}); err != nil { // else we have the capability
		wantError(t, err, "CAP_SYS_RESOURCE", "fs.pipe-max-size")
	}
}

func TestFIFOs(t *testing.T) {
	h := newHelper(t)
	for _, n := range []string{"a", "b", "c", "d"} {
		must(t, unix.Mkfifo(h.root("/run/"+n), 0o600))
	}
	end := func(id, pipe uint32, name string, flags int) *format.OpenFile {
		return &format.OpenFile{Id: id, Flags: uint32(flags), Kind: &format.OpenFile_Fifo{Fifo: &format.PipeEnd{Pipe: pipe, File: identify(h, name)}}}
	}
	s := &format.Skeleton{
		OpenFiles: []*format.OpenFile{
			end(1, 21, "/run/a", unix.O_RDONLY), end(2, 21, "/run/a", unix.O_WRONLY), end(3, 21, "/run/a", unix.O_WRONLY|unix.O_NONBLOCK),
			end(4, 22, "/run/b", unix.O_RDWR|unix.O_NONBLOCK),
			end(5, 23, "/run/c", unix.O_RDONLY|unix.O_NONBLOCK), // waits for its first writer
			end(6, 24, "/run/d", unix.O_RDONLY|unix.O_NONBLOCK), // the writer has left
		},
		Pipes: []*format.Pipe{{Id: 21, Capacity: 8192, Data: []byte("hello")}, {Id: 22, Capacity: 65536, Data: []byte("init")},
			{Id: 23, Capacity: 4096}, {Id: 24, Capacity: 65536, Data: []byte("bye")}},
	}
	s.Files = []*format.Files{at(s.OpenFiles...)}
	must(t, build(t, s, h).Close())
	for i, f := range s.OpenFiles {
		if got := h.call(unix.SYS_FCNTL, uint64(10+i), unix.F_GETFL) &^ largefile; got != uint64(f.Flags) {
			t.Errorf("descriptor %d: flags %#o, want %#o", 10+i, got, f.Flags)
		}
	}
	for n, want := range map[uint64]string{10: "hello", 13: "init", 15: "bye"} {
		if s, err := h.read(n, 100); s != want || err != nil {
			t.Errorf("descriptor %d: read %q, %v; want %q", n, s, err, want)
		}
	}
	if c := h.call(unix.SYS_FCNTL, 10, unix.F_GETPIPE_SZ); c != 8192 {
		t.Errorf("capacity %d", c)
	}
	if c := h.call(unix.SYS_FCNTL, 14, unix.F_GETPIPE_SZ); c != 4096 {
		t.Errorf("capacity %d", c)
	}
	hangup := func(n int) bool {
		fd, err := h.Take(n)
		must(t, err)
		defer unix.Close(fd)
		return readiness(fd)&unix.POLLHUP != 0
	}
	for n, want := range map[int]bool{10: false, 13: false, 14: false, 15: true} {
		if hangup(n) != want {
			t.Errorf("descriptor %d: hang-up %v, want %v", n, !want, want)
		}
	}
	// Both writers count.
	h.call(unix.SYS_CLOSE, 11)
	if hangup(10) {
		t.Error("one of two writers has left, and the reader is told so")
	}
	h.call(unix.SYS_CLOSE, 12)
	if !hangup(10) {
		t.Error("both writers have left, and the reader is not told so")
	}
}

func TestFIFOInUse(t *testing.T) {
	h := newHelper(t)
	must(t, unix.Mkfifo(h.root("/run/a"), 0o600))
	fd, err := unix.Open(h.root("/run/a"), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	_, err = unix.Write(fd, []byte("foreign"))
	must(t, err)
	f := &format.OpenFile{Id: 1, Flags: unix.O_RDONLY, Kind: &format.OpenFile_Fifo{Fifo: &format.PipeEnd{Pipe: 9, File: identify(h, "/run/a")}}}
	_, err = tryBuild(t, &format.Skeleton{OpenFiles: []*format.OpenFile{f}, Pipes: []*format.Pipe{{Id: 9}}}, h)
	wantError(t, err, "/run/a already holds 7 bytes")
}

func TestMakeObeysItsContext(t *testing.T) {
	h := newHelper(t)
	r, err := New(&format.Skeleton{OpenFiles: []*format.OpenFile{{Id: 1, Kind: &format.OpenFile_Eventfd{}}}}, h, nil)
	must(t, err)
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantError(t, r.Make(ctx), "canceled")
}
