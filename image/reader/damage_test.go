package reader_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/encoding/protowire"

	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/image/vectors"
	"lxc-checkpoint/image/writer"
)

// build writes a statefile of n runs and returns it with the offsets at which
// its frames begin, its end included.
func build(t testing.TB, fill byte, n int) (file []byte, borders []int) {
	t.Helper()
	c := &counter{}
	w := writer.New(c, writer.Options{})
	s := vectors.Smallest()
	s.Mms[0].Vmas[0].End = 0x10000 + uint64(max(n, 1))*vectors.Page
	if err := w.Skeleton(s); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(uint64(fill), 1))
	for i := range n {
		page := make([]byte, 4096)
		for j := range 64 {
			page[r.IntN(4096)] = byte(j) ^ fill
		}
		if err := w.Pages(vectors.MmID, 0x10000+uint64(i)*4096, 0, page); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return c.Bytes(), c.borders
}

type counter struct {
	bytes.Buffer
	borders []int
}

func (c *counter) Write(b []byte) (int, error) {
	c.borders = append(c.borders, c.Len())
	return c.Buffer.Write(b)
}

func read(b []byte) error {
	r, err := reader.New(bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Contents(context.Background(), 2, func(uint32, uint64, []byte) error { return nil })
}

// rejected checks that a damaged statefile is refused with a word on where.
func rejected(t *testing.T, what string, b []byte) {
	t.Helper()
	err := read(b)
	if err == nil {
		t.Errorf("%s: accepted", what)
		return
	}
	var d *reader.DamageError
	if !errors.As(err, &d) && !strings.Contains(err.Error(), "version") && !strings.Contains(err.Error(), "contradicts") {
		t.Errorf("%s: the error does not say where: %v", what, err)
	}
}

func TestWhole(t *testing.T) {
	b, _ := build(t, 1, 20)
	if err := read(b); err != nil {
		t.Fatal(err)
	}
}

func TestFlippedBits(t *testing.T) {
	b, _ := build(t, 1, 6)
	for at := range b { // every byte, one bit of it
		c := slices.Clone(b)
		c[at] ^= 1 << (at % 8)
		if read(c) == nil {
			t.Errorf("bit %d of byte %d of %d flipped: accepted", at%8, at, len(b))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		at := r.IntN(len(b))
		c := slices.Clone(b)
		c[at] = byte(r.Uint32())
		if c[at] != b[at] {
			rejected(t, "a byte changed", c)
		}
	}
}

func TestCuts(t *testing.T) {
	b, borders := build(t, 1, 6)
	for _, at := range borders {
		rejected(t, "cut at a border", b[:at])
	}
	for at := range b {
		if read(b[:at]) == nil {
			t.Errorf("cut at %d of %d: accepted", at, len(b))
		}
	}
	rejected(t, "something behind the end", append(slices.Clone(b), 0))
	var d *reader.DamageError
	if err := read(nil); !errors.As(err, &d) || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestFrames(t *testing.T) {
	b, borders := build(t, 1, 20)
	other, otherBorders := build(t, 2, 20)
	frame := func(b []byte, borders []int, i int) []byte {
		end := len(b)
		if i+1 < len(borders) {
			end = borders[i+1]
		}
		return b[borders[i]:end]
	}
	for i := range borders {
		before, this, after := b[:borders[i]], frame(b, borders, i), b[borders[i]+len(frame(b, borders, i)):]
		rejected(t, "a frame missing", slices.Concat(before, after))
		rejected(t, "a frame doubled", slices.Concat(before, this, this, after))
		rejected(t, "a frame of another statefile", slices.Concat(before, frame(other, otherBorders, i), after))
		if i > 0 {
			last := frame(b, borders, i-1)
			rejected(t, "frames swapped", slices.Concat(b[:borders[i-1]], this, last, after))
		}
	}
}

// TestWhere checks that damage is located: the frame, and where it begins.
func TestWhere(t *testing.T) {
	b, borders := build(t, 1, 20)
	for i := range 21 {
		for what, spoiled := range map[string][]byte{
			"flipped": flip(b, borders[i]+20),
			"missing": slices.Concat(b[:borders[i]], b[borders[i+1]:]),
			"doubled": slices.Concat(b[:borders[i+1]], b[borders[i]:]),
		} {
			var d *reader.DamageError
			if err := read(spoiled); !errors.As(err, &d) {
				t.Fatalf("frame %d %s: %v", i, what, err)
			}
			frame := i
			if what == "doubled" {
				frame = i + 1
			}
			// Our pages differ in little, so some frames have the same size.
			if i == 0 || what == "flipped" {
				if d.Where != fmt.Sprintf("frame %d", frame) || d.Offset != int64(borders[frame]) {
					t.Errorf("frame %d at %d %s: found at frame %s, %d", i, borders[i], what, d.Where, d.Offset)
				}
			} else if !strings.HasPrefix(d.Where, "frame ") || d.Offset < int64(borders[frame]) {
				t.Errorf("frame %d at %d %s: found at %s, %d", i, borders[i], what, d.Where, d.Offset)
			}
		}
	}
}

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 4
	return b
}

// TestPipe reads from something that is no file and gives a few bytes at a time.
func TestPipe(t *testing.T) {
	b, _ := build(t, 1, 20)
	for _, spoil := range []bool{false, true} {
		if spoil {
			b = flip(b, len(b)-3)
		}
		r, err := reader.New(iotest.OneByteReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var pages atomic.Int64
		err = r.Contents(context.Background(), 3, func(uint32, uint64, []byte) error { pages.Add(1); return nil })
		if (err != nil) != spoil || pages.Load() != 20 {
			t.Errorf("spoilt: %v: %d pages, %v", spoil, pages.Load(), err)
		}
	}
}

// TestStops checks that errors end the reading: the caller's, of the context,
// of what is read from.
func TestStops(t *testing.T) {
	b, _ := build(t, 1, 20)
	mine := errors.New("mine")
	for _, c := range []struct {
		r    io.Reader
		ctx  func() context.Context
		fn   error
		want error
	}{
		{bytes.NewReader(b), context.Background, mine, mine},
		{bytes.NewReader(b), func() context.Context {
			c, cancel := context.WithCancelCause(context.Background())
			cancel(mine)
			return c
		}, nil, mine},
		{io.MultiReader(bytes.NewReader(b[:len(b)/2]), iotest.ErrReader(mine)), context.Background, nil, mine},
		{iotest.ErrReader(mine), context.Background, nil, mine},
	} {
		r, err := reader.New(c.r)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.Contents(c.ctx(), 2, func(uint32, uint64, []byte) error { return c.fn }); !errors.Is(err, c.want) {
			t.Errorf("%v instead of %v", err, c.want)
		}
	}
}

// TestHostile checks that a size in a header is not believed.
func TestHostile(t *testing.T) {
	bomb := vectors.Frame(make([]byte, 100<<20)) // of few bytes
	for name, b := range map[string][]byte{
		"a frame of 100 MiB":             vectors.Assemble(bomb),
		"a record of 2^60 bytes":         vectors.Assemble(vectors.Frame(protowire.AppendVarint(nil, 1<<60), []byte("x"))),
		"a record longer than its frame": vectors.Assemble(vectors.Frame([]byte{100, 1, 2, 3})),
		"a header that tells 2^62 bytes": append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0, 0, 0, 0, 0, 0, 0, 0x40}, bomb[8:]...),
		"a dictionary":                   {0x28, 0xb5, 0x2f, 0xfd, 0x25, 1, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"no frame":                       []byte("this is a text and no statefile at all"),
		"a skippable frame":              {0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff},
		"a frame of nothing":             vectors.Assemble(vectors.Frame()),
		"a tar":                          append(make([]byte, 257), "ustar"...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rejected(t, name, b)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	var out bytes.Buffer
	w := writer.New(&out, writer.Options{})
	s := vectors.Smallest()
	const size = 64 << 20
	s.Mms[0].Vmas[0].End = 0x10000 + size
	if err := w.Skeleton(s); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	run := make([]byte, 1<<20)
	for at := uint64(0); at < size; at += uint64(len(run)) {
		for i := range run {
			run[i] = byte(i>>3) ^ byte(r.Uint32()&r.Uint32()&r.Uint32()&7)
		}
		if err := w.Pages(vectors.MmID, 0x10000+at, 0, run); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if err := read(out.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzReader(f *testing.F) {
	b, _ := build(f, 1, 3)
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Fuzz(func(t *testing.T, b []byte) { _ = read(b) })
}
