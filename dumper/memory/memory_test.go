package memory

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/refusal"
)

// compile builds a C program of testdata.
func compile(t *testing.T, name string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	b, err := exec.Command("gcc", "-O1", "-w", "-o", out, filepath.Join("testdata", name+".c")).CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, b)
	}
	return out
}

// start runs a program until it prints "ready", and stops it.
func start(t *testing.T, program string, args ...string) int {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%s: %q, %v", program, line, err)
	}
	if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func environment(t *testing.T, pid int) Env {
	t.Helper()
	root, err := view.OpenRoot(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(root.Close)
	ids := new(view.IDs)
	return Env{Root: root, IDs: ids, Objects: &view.Objects{IDs: ids}, Workers: 2}
}

// store is a PageWriter that keeps all pages.
type store struct {
	sync.Mutex
	pages map[uint64][]byte // by owner<<56 + offset
	t     *testing.T
	fail  error
}

func key(owner uint32, offset uint64) uint64 { return uint64(owner)<<56 | offset }

func (s *store) writer() PageWriter { return s }

func (s *store) writers() Writers { return Writers{New: s.writer} }

func (s *store) Flush() error { return nil }

func (s *store) Pages(owner uint32, offset uint64, _ uint32, data []byte) error {
	s.Lock()
	defer s.Unlock()
	if len(data) == 0 || len(data) > batchSize || uint64(len(data))%pageSize != 0 {
		s.t.Errorf("%d bytes at once", len(data))
	}
	for at := uint64(0); at < uint64(len(data)); at += pageSize {
		k := key(owner, offset+at)
		if s.pages[k] != nil {
			s.t.Errorf("page %#x of %d comes twice", offset+at, owner)
		}
		s.pages[k] = bytes.Clone(data[at : at+pageSize])
	}
	return s.fail
}

func dump(t *testing.T, pid int) (*Memory, *store, Counts) {
	t.Helper()
	env := environment(t, pid)
	m, refused, err := Look(t.Context(), env, []Space{{ID: env.IDs.Next(), PID: pid, NSPID: 7, Command: "kinds"}})
	if err == nil {
		err = refused.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &store{pages: map[uint64][]byte{}, t: t}
	counts, err := m.Pump(t.Context(), Writers{New: s.writer}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m, s, counts
}

func fileOf8Pages(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a file")
	content := bytes.Repeat([]byte("0123456789abcdef"), 8*4096/16)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEveryPage compares what was saved of a process with what /proc/PID/mem
// shows of it, page by page.
func TestEveryPage(t *testing.T) {
	path := fileOf8Pages(t)
	pid := start(t, compile(t, "kinds"), "50", path)
	m, saved, counts := dump(t, pid)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	mm := m.Mms[0]
	page := make([]byte, pageSize)
	kinds := map[format.VmaKind]int{}
	for _, v := range mm.Vmas {
		kinds[v.Kind]++
		owner, base := mm.Id, v.Start
		switch v.Kind {
		case format.VmaKind_VMA_SHARED_ANONYMOUS:
			owner, base = v.SharedMemory, v.Offset
		case format.VmaKind_VMA_ANONYMOUS, format.VmaKind_VMA_FILE_PRIVATE:
		default:
			continue
		}
		length := v.End - v.Start
		from := uint64(0)
		if length > 1<<32 { // the sparse one: around its only page
			from, length = 1<<39, 1<<39+1<<20
		}
		for at := from; at < length; at += pageSize {
			if guarded(mm, v.Start+at) {
				continue
			}
			want := page
			if _, err := mem.ReadAt(want, int64(v.Start+at)); err != nil {
				t.Fatalf("%#x: %v", v.Start+at, err)
			}
			got, have := saved.pages[key(owner, base+at)]
			if !have {
				got = zeroPage
				if v.Kind == format.VmaKind_VMA_FILE_PRIVATE {
					got = make([]byte, pageSize)
					if f, err := os.Open(v.File.Path); err == nil {
						_, _ = f.ReadAt(got, int64(v.Offset+at))
						f.Close()
					}
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("page %#x of %v is saved: %v, and differs", v.Start+at, v, have)
			}
			delete(saved.pages, key(owner, base+at))
			if v.Kind == format.VmaKind_VMA_SHARED_ANONYMOUS {
				saved.pages[key(owner, base+at)] = got // another mapping shows it too
			}
		}
	}
	for k := range saved.pages {
		if uint32(k>>56) == mm.Id {
			t.Errorf("page %#x was saved and belongs to no mapping", k<<8>>8)
		}
	}
	if kinds[format.VmaKind_VMA_SHARED_ANONYMOUS] != 2 || len(m.Shared) != 1 || m.Shared[0].Size != 64*4096 {
		t.Errorf("shared memory: %d mappings of %v", kinds[format.VmaKind_VMA_SHARED_ANONYMOUS], m.Shared)
	}
	if kinds[format.VmaKind_VMA_VDSO] != 1 || kinds[format.VmaKind_VMA_VVAR] != 1 {
		t.Errorf("kinds %v", kinds)
	}
	if len(mm.Guards) != 1 || mm.Guards[0].Length != 4*pageSize {
		t.Errorf("guards %v", mm.Guards)
	}
	if counts.File == 0 || counts.Shared != 3 || counts.Zero == 0 || counts.Stored()*pageSize > counts.BytesRead {
		t.Errorf("counts %+v", counts)
	}
	if mm.Exe == nil || filepath.Base(mm.Exe.Path) != "kinds" || len(mm.Auxv) == 0 || mm.StartStack == 0 || mm.ArgEnd <= mm.ArgStart {
		t.Errorf("fields: %v", mm)
	}
}

func guarded(mm *format.Mm, at uint64) bool {
	return slices.ContainsFunc(mm.Guards, func(g *format.Extent) bool { return at >= g.Start && at < g.Start+g.Length })
}

// TestWrittenZeros: in a private mapping of a file, a page of zeros is not
// what the file would show.
func TestWrittenZeros(t *testing.T) {
	path := fileOf8Pages(t)
	pid := start(t, compile(t, "kinds"), "0", path)
	m, saved, _ := dump(t, pid)
	for _, v := range m.Mms[0].Vmas {
		if v.Kind != format.VmaKind_VMA_FILE_PRIVATE || v.File.Path != path {
			continue
		}
		for i := range uint64(8) {
			_, have := saved.pages[key(m.Mms[0].Id, v.Start+i*pageSize)]
			if want := i == 1 || i == 2; have != want {
				t.Errorf("page %d: saved %v", i, have)
			}
		}
		return
	}
	t.Error("no private mapping of the file")
}

// TestAttributes checks what mappings have besides their bytes.
func TestAttributes(t *testing.T) {
	path := fileOf8Pages(t)
	pid := start(t, compile(t, "kinds"), "0", path)
	m, _, _ := dump(t, pid)
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	named := bytes.Contains(maps, []byte("[anon:a name]")) // the kernel may know no names
	var seen []string
	for _, v := range m.Mms[0].Vmas {
		switch {
		case (v.Name == "a name" || !named) && slices.Equal(v.Advice, []uint32{unix.MADV_DONTFORK, unix.MADV_DONTDUMP}):
			seen = append(seen, "advised")
		case v.GrowsDown && !v.IsStack:
			seen = append(seen, "grows down")
		case v.NoReserve && v.End-v.Start == 1<<40:
			seen = append(seen, "sparse")
		case v.Locked:
			seen = append(seen, "locked")
		case slices.Contains(v.Advice, unix.MADV_HUGEPAGE):
			seen = append(seen, "huge")
		case v.Kind == format.VmaKind_VMA_FILE_SHARED && v.File.Path == path && v.MayWrite:
			seen = append(seen, "file")
		case v.IsStack:
			seen = append(seen, "stack")
		case v.IsHeap:
			seen = append(seen, "heap")
		}
	}
	slices.Sort(seen)
	seen = slices.Compact(seen)
	if want := []string{"advised", "file", "grows down", "heap", "huge", "locked", "sparse", "stack"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

// TestReadPagemap: where there is no PAGEMAP_SCAN, the same is found.
func TestReadPagemap(t *testing.T) {
	pid := start(t, compile(t, "refused"), "nothing")
	env := environment(t, pid)
	l := &looker{env: env, files: map[fileKey]*fileLook{}}
	s, err := l.space(&Space{ID: 1, PID: pid})
	if err != nil {
		t.Fatal(err)
	}
	var kept []keptArea
	for i, v := range s.mm.Vmas {
		if h, ok := howToRead(v, &s.areas[i]); ok {
			kept = append(kept, keptArea{v.Start, v.End, h})
		}
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := collector{areas: kept}
	if err := readPagemap(f, &c); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.extents, s.extents) || len(c.extents) == 0 {
		t.Errorf("pagemap %v\nscan %v", c.extents, s.extents)
	}
}

func TestRefusals(t *testing.T) {
	program := compile(t, "refused")
	for kind, want := range map[string]string{
		"sysv": "System V shared memory", "deleted": "deleted file", "replaced": "hidden file", "hidden": "hidden file",
		"userfaultfd": "userfaultfd", "aio": "asynchronous I/O",
	} {
		t.Run(kind, func(t *testing.T) {
			path := fileOf8Pages(t)
			pid := start(t, program, kind, path)
			env := environment(t, pid)
			env.Objects.MaxDeleted = 100 // the file has more
			_, refused, err := Look(t.Context(), env, []Space{{ID: 1, PID: pid, NSPID: 7, Command: "refused"}})
			if err != nil {
				t.Fatal(err)
			}
			if len(refused) == 0 || !strings.HasPrefix(refused[0].Kind, want) || refused[0].PID != 7 {
				t.Fatalf("refused %v", refused)
			}
			var r *refusal.Refusal
			if !errors.As(refused.Err(), &r) || !strings.Contains(r.Error(), "process 7 (refused), mapping ") {
				t.Errorf("message: %v", refused.Err())
			}
		})
	}
}

// TestPumpEnds: the first error, and the end of the context, end it.
func TestPumpEnds(t *testing.T) {
	path := fileOf8Pages(t)
	pid := start(t, compile(t, "kinds"), "500", path)
	env := environment(t, pid)
	m, _, err := Look(t.Context(), env, []Space{{ID: 1, PID: pid}})
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if _, err := m.Pump(t.Context(), (&store{pages: map[uint64][]byte{}, t: t, fail: full}).writers(), 2, nil); !errors.Is(err, full) {
		t.Errorf("a failing writer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Pump(ctx, (&store{pages: map[uint64][]byte{}, t: t}).writers(), 2, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	// A process that has gone.
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if _, err := m.Pump(t.Context(), (&store{pages: map[uint64][]byte{}, t: t}).writers(), 2, nil); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("a process that was killed: %v", err)
	}
}
