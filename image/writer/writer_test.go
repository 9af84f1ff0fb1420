package writer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os/exec"
	"sync"
	"testing"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/frame"
	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/image/vectors"
	"lxc-checkpoint/image/writer"
)

// skeleton is a small one that makes sense.
func skeleton() *format.Skeleton {
	s := vectors.Smallest()
	s.Mms[0].Vmas[0].End = 0x30000000
	return s
}

func statefile(t testing.TB, seed uint64, runs int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := writer.New(&b, writer.Options{})
	if err := w.Skeleton(skeleton()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range runs {
		wg.Go(func() {
			if err := w.Pages(1, 0x10000+uint64(i)<<16, 0, content(seed, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// content is half random, half text.
func content(seed uint64, i int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	b := bytes.Repeat([]byte("statefile "), 4096)[:8<<12]
	for j := range len(b) / 2 {
		b[j] = byte(r.Uint32())
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	b := statefile(t, 1, 40)
	r, err := reader.New(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := r.Skeleton()
	if err != nil {
		t.Fatal(err)
	}
	if s.Container.Name != "c1" || s.Processes[0].Tasks[0].Name != "init" {
		t.Errorf("skeleton: %v", s.Container)
	}
	var mu sync.Mutex
	seen := map[uint64]bool{}
	err = r.Contents(context.Background(), 2, func(owner uint32, offset uint64, data []byte) error {
		mu.Lock()
		defer mu.Unlock()
		i := int(offset-0x10000) >> 16
		if owner != 1 || !bytes.Equal(data, content(1, i)) {
			t.Errorf("owner %d, offset %#x: other bytes", owner, offset)
		}
		seen[offset] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 40 {
		t.Errorf("%d records instead of 40", len(seen))
	}
}

// TestStockZstd checks that zstd(1) accepts the file and gives records.
func TestStockZstd(t *testing.T) {
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("zstd(1) is not installed")
	}
	cmd := exec.Command("zstd", "-t")
	cmd.Stdin = bytes.NewReader(statefile(t, 1, 10))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("zstd -t: %v: %s", err, out)
	}
}

// TestFails checks that after an error of what it writes to nothing more comes,
// and that Commit fails.
func TestFails(t *testing.T) {
	full := errors.New("full")
	for room := range 4 {
		to := &small{room: room, err: full}
		w := writer.New(to, writer.Options{})
		err := w.Skeleton(skeleton())
		for i := range 3 {
			if e := w.Pages(vectors.MmID, 0x10000+uint64(i)<<16, 0, content(1, i)); err == nil {
				err = e
			}
		}
		if e := w.Commit(); !errors.Is(e, full) || err == nil && room < 4 && e == nil {
			t.Errorf("room for %d frames: %v, Commit: %v", room, err, e)
		}
		if to.after != 0 {
			t.Errorf("room for %d frames: %d writes after the error", room, to.after)
		}
	}
}

type small struct {
	room, after int
	err         error
	failed      bool
}

func (s *small) Write(b []byte) (int, error) {
	if s.failed {
		s.after++
	}
	if s.room--; s.room < 0 {
		s.failed = true
		return 0, s.err
	}
	return len(b), nil
}

// TestRefusesSizes checks what Pages does not take.
func TestRefusesSizes(t *testing.T) {
	w := writer.New(io.Discard, writer.Options{})
	for _, n := range []int{0, frame.MaxPages + 4096} {
		if w.Pages(vectors.MmID, 0x10000, 0, make([]byte, n)) == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
}

// BenchmarkWriter writes runs of 1 MiB from as many goroutines as there are
// cores.
func BenchmarkWriter(b *testing.B) {
	for _, random := range []bool{false, true} {
		b.Run(map[bool]string{false: "text", true: "random"}[random], func(b *testing.B) {
			run := bytes.Repeat(content(1, 1), 32)
			if random {
				r := rand.New(rand.NewPCG(1, 2))
				for i := range run {
					run[i] = byte(r.Uint32())
				}
			}
			w := writer.New(io.Discard, writer.Options{})
			if err := w.Skeleton(skeleton()); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(run)))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := w.Pages(vectors.MmID, 0x10000, 0, run); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
