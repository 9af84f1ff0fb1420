package fds

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/place"
)

// build makes the open files of an image and sets up its tables, the first in
// the first helper and so on. What r holds stays open until the test ends.
func build(t testing.TB, s *format.Skeleton, helpers ...*helper) *Restart {
	t.Helper()
	r, err := tryBuild(t, s, helpers...)
	must(t, err)
	return r
}

func tryBuild(t testing.TB, s *format.Skeleton, helpers ...*helper) (*Restart, error) {
	t.Helper()
	for i, f := range s.Files {
		f.Id = uint32(1000 + i)
	}
	before := ourDescriptors(t)
	r, err := New(s, helpers[0], slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		r.Close()
		if after := ourDescriptors(t); !slices.Equal(before, after) {
			t.Errorf("descriptors were leaked: %v before, %v after", before, after)
		}
	})
	m := memory{}
	t.Cleanup(m.close) // before the count of descriptors
	r.Memory = m
	ns, err := unix.Open("/proc/self/ns/uts", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(ns)
	r.Namespace = func(uint32) (int, error) { return ns, nil }
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Make(ctx); err != nil {
		return r, err
	}
	if err := r.Join(ctx, town{helpers[0]}); err != nil {
		return r, err
	}
	for i, f := range s.Files {
		if err := r.Plant(helpers[i], f); err != nil {
			return r, err
		}
	}
	for i, f := range s.Files {
		if err := r.Wire(helpers[i], f); err != nil {
			return r, err
		}
	}
	if err := r.Rings(ctx); err != nil {
		return r, err
	}
	return r, r.Arm()
}

// memory has memfds in place of what the image's other room would make.
type memory map[uint32]int

func (m memory) OpenFile(id, flags uint32) (int, error) {
	if _, have := m[id]; !have {
		fd, err := unix.MemfdCreate("law", unix.MFD_CLOEXEC)
		if err != nil {
			return -1, err
		}
		m[id] = fd
	}
	return unix.Open("/proc/self/fd/"+strconv.Itoa(m[id]), int(flags)|unix.O_CLOEXEC, 0)
}

func (m memory) close() {
	for _, fd := range m {
		unix.Close(fd)
	}
}

// town has one inhabitant.
type town struct{ *helper }

func (h town) Leader(pid uint32) place.Process {
	if pid == 1 {
		return h.helper
	}
	return nil
}

func (h town) With(uint32, func(place.Process) error) error { return unix.EEXIST }

// ourDescriptors lists the descriptors of this process.
func ourDescriptors(t testing.TB) (names []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range entries {
		if _, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // not that of the directory itself
			names = append(names, e.Name())
		}
	}
	return names
}

// at puts open files at the numbers 10, 11, … of a table.
func at(files ...*format.OpenFile) *format.Files {
	t := &format.Files{}
	for i, f := range files {
		t.Descriptors = append(t.Descriptors, &format.Descriptor{Number: uint32(10 + i), OpenFile: f.Id})
	}
	return t
}

// identify makes the identity of a file of the helper, as the dumper does.
func identify(h *helper, name string) *format.FileIdentity {
	h.t.Helper()
	var st unix.Stat_t
	must(h.t, unix.Lstat(h.root(name), &st))
	is := identityIs(&st)
	return &format.FileIdentity{Path: name, Device: is.device, Inode: is.inode, Size: is.size, MtimeNs: is.mtime, Mode: is.mode, Rdev: is.rdev}
}

func regular(h *helper, id uint32, name string, flags int, position int64) *format.OpenFile {
	return &format.OpenFile{Id: id, Flags: uint32(flags), Position: position, Kind: &format.OpenFile_Regular{Regular: identify(h, name)}}
}

// wantError checks that an error says all of this.
func wantError(t testing.TB, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one that says %q", says)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("the error does not say %q: %v", s, err)
		}
	}
	t.Log(err)
}

func TestEveryKindOfTheImageHasARow(t *testing.T) {
	fields := (&format.OpenFile{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
	for i := range fields.Len() {
		name := fields.Get(i).Name()
		if k := kinds()[name]; k == nil || k.make == nil || k.name == "" {
			t.Errorf("no maker for kind %s", name)
		}
	}
	if fields.Len() != len(kinds()) {
		t.Errorf("%d kinds in the image, %d here", fields.Len(), len(kinds()))
	}
	_, err := kindOf(kinds(), &format.OpenFile{Id: 7})
	wantError(t, err, "open file 7")
}

func TestPlantGivesTheTableAndNothingElse(t *testing.T) {
	h := newHelper(t)
	must(t, os.WriteFile(h.root("/data/log"), []byte("0123456789"), 0o644))
	log := regular(h, 1, "/data/log", unix.O_WRONLY|unix.O_APPEND, 10)
	null := &format.OpenFile{Id: 2, Flags: unix.O_RDWR, Kind: &format.OpenFile_Device{Device: identify(h, "/dev/null")}}
	table := &format.Files{Descriptors: []*format.Descriptor{
		{Number: 0, OpenFile: 2}, {Number: 1, OpenFile: 1}, {Number: 2, OpenFile: 1},
		{Number: 3, OpenFile: 2, CloseOnExec: true}, // where the helper's control socket is
		{Number: 255, OpenFile: 1, CloseOnExec: true}, {Number: 8_000, OpenFile: 2},
	}}
	build(t, &format.Skeleton{OpenFiles: []*format.OpenFile{log, null}, Files: []*format.Files{table}}, h)
	want := map[int]string{0: "/dev/null", 1: "/data/log", 2: "/data/log", 3: "/dev/null", 255: "/data/log", 8_000: "/dev/null"}
	open := h.open()
	slices.Sort(open)
	if !slices.Equal(open, []int{0, 1, 2, 3, 255, 8_000}) {
		t.Errorf("open: %v", open)
	}
	for n, name := range want {
		if !strings.HasSuffix(h.link(n), name) {
			t.Errorf("descriptor %d is %s, not %s", n, h.link(n), name)
		}
		closes := h.call(unix.SYS_FCNTL, uint64(n), unix.F_GETFD) == unix.FD_CLOEXEC
		if want := n == 3 || n == 255; closes != want {
			t.Errorf("descriptor %d: close-on-exec %v, want %v", n, closes, want)
		}
	}
}

func TestOpenFilesAreSharedAcrossTables(t *testing.T) {
	a, b := newHelper(t), newHelper(t)
	must(t, os.WriteFile(a.root("/data/f"), []byte("0123456789"), 0o644))
	f := regular(a, 1, "/data/f", unix.O_RDONLY, 3)
	g := regular(a, 2, "/data/f", unix.O_RDONLY, 3)
	build(t, &format.Skeleton{OpenFiles: []*format.OpenFile{f, g}, Files: []*format.Files{at(f, f, g), at(f)}}, a, b)
	a.call(unix.SYS_LSEEK, 10, 5, unix.SEEK_SET)
	if pos := a.info(11, "pos"); pos != "5" {
		t.Errorf("the duplicate is at %s", pos)
	}
	if pos := b.info(10, "pos"); pos != "5" {
		t.Errorf("the other process is at %s", pos)
	}
	if pos := a.info(12, "pos"); pos != "3" {
		t.Errorf("a file opened twice is at %s", pos)
	}
}

func TestFiveThousandDescriptors(t *testing.T) {
	h := newHelper(t)
	must(t, os.WriteFile(h.root("/data/f"), []byte("x"), 0o644))
	s := &format.Skeleton{}
	for i := range uint32(5000) {
		var f *format.OpenFile
		switch i % 4 {
		case 0:
			f = regular(h, i+1, "/data/f", unix.O_RDWR, 1)
		case 1:
			f = &format.OpenFile{Id: i + 1, Flags: unix.O_RDWR, Kind: &format.OpenFile_Eventfd{Eventfd: &format.Eventfd{Count: uint64(i)}}}
		case 2:
			f = &format.OpenFile{Id: i + 1, Flags: unix.O_RDWR, Kind: &format.OpenFile_UnixSocket{UnixSocket: &format.UnixSocket{Type: unix.SOCK_DGRAM}}}
		case 3:
			s.Pipes = append(s.Pipes, &format.Pipe{Id: 10_000 + i, Capacity: 4096})
			f = &format.OpenFile{Id: i + 1, Flags: unix.O_WRONLY, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 10_000 + i}}}
		}
		s.OpenFiles = append(s.OpenFiles, f)
	}
	s.Files = []*format.Files{at(s.OpenFiles...)}
	start := time.Now()
	build(t, s, h)
	t.Logf("5,000 descriptors made and planted in %v", time.Since(start))
	if n := len(h.open()); n != 5000 {
		t.Errorf("%d are open", n)
	}
}

func TestOwnerAndSignal(t *testing.T) {
	h := newHelper(t)
	s := &format.Skeleton{Pipes: []*format.Pipe{{Id: 9, Capacity: 65536}}}
	read := &format.OpenFile{Id: 1, Flags: unix.O_RDONLY | unix.O_ASYNC | unix.O_NONBLOCK, OwnerPid: 1, OwnerSignal: ownerSignal, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 9}}}
	write := &format.OpenFile{Id: 2, Flags: unix.O_WRONLY, OwnerPid: -1, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 9}}}
	s.OpenFiles = []*format.OpenFile{read, write}
	s.Files = []*format.Files{at(read, write)}
	build(t, s, h)
	if o := h.call(unix.SYS_FCNTL, 10, unix.F_GETOWN); o != 1 {
		t.Errorf("owner %d", o)
	}
	if o := h.call(unix.SYS_FCNTL, 10, unix.F_GETSIG); o != ownerSignal {
		t.Errorf("signal %d", o)
	}
	if f := h.call(unix.SYS_FCNTL, 10, unix.F_GETFL); f != uint64(read.Flags) {
		t.Errorf("flags %#o, want %#o", f, read.Flags)
	}
	// A process group: -1, which looks like EPERM, so ask by F_GETOWN_EX.
	h.call(unix.SYS_FCNTL, 11, unix.F_GETOWN_EX, h.scratch)
	b := make([]byte, 8)
	must(t, h.Read(h.scratch, b))
	if string(b) != "\x02\x00\x00\x00\x01\x00\x00\x00" {
		t.Errorf("owner of the other end: % x", b)
	}
	h.call(unix.SYS_WRITE, 11, h.give([]byte("x")), 1)
	b = b[:1]
	for start := time.Now(); b[0] != 1 && time.Since(start) < 5*time.Second; time.Sleep(time.Millisecond) {
		must(t, h.Read(h.scratch+signalsAt, b))
	}
	if b[0] != 1 {
		t.Errorf("%d signals came", b[0])
	}
}
