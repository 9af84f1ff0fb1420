package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/image/vectors"
	"lxc-checkpoint/image/writer"
	"lxc-checkpoint/test/harness"
)

// original is a statefile of a real container, taken apart.
type original struct {
	bytes   []byte
	frames  [][]byte // without the trailer
	borders []int    // where each begins, and the trailer
	pages   int      // the first frame after the skeleton
}

// sample checkpoints a container twice: two statefiles that differ in little.
func sample(t *testing.T, program string, mebibytes int) (one, other *original) {
	t.Helper()
	b := newBox(t, someHierarchy(t), program, mebibytes)
	b.checkpoint("-S", b.statefile())
	b.verify("before any damage", b.statefile())
	one = apart(t, b.statefile())
	b.checkpoint("-S", b.statefile())
	return one, apart(t, b.statefile())
}

func apart(t *testing.T, file string) *original {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o := &original{bytes: b, frames: vectors.Frames(b), pages: -1}
	at := 0
	for i, f := range o.frames {
		o.borders = append(o.borders, at)
		at += len(f)
		if records(f)[0].GetPages() != nil && o.pages < 0 {
			o.pages = i
		}
	}
	o.borders = append(o.borders, at)
	if o.pages < 1 || !bytes.Equal(vectors.Assemble(o.frames...), b) {
		t.Fatalf("the statefile is not what it should be: %d frames, pages from %d", len(o.frames), o.pages)
	}
	return o
}

// records are those of a frame.
func records(frame []byte) []*format.Record {
	var all []*format.Record
	for content := vectors.Content(frame); len(content) > 0; {
		r := &format.Record{}
		if err := vectors.Parse(content, r); err != nil {
			panic(err)
		}
		all = append(all, r)
		_, n := protowire.ConsumeBytes(content)
		content = content[n:]
	}
	return all
}

// read reads a statefile to its end, as verify and a restart do.
func read(b []byte) error {
	r, err := reader.New(bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Contents(context.Background(), 2, func(uint32, uint64, []byte) error { return nil })
}

// damaged is a statefile that is not as it was written.
type damaged struct {
	what  string
	bytes []byte
	from  int // the first byte that differs; -1 if the trailer was made to fit
}

// judge checks that it is rejected, with a word on where.
func (d damaged) judge(t *testing.T, o *original) {
	t.Helper()
	err := read(d.bytes)
	var damage *reader.DamageError
	var version *reader.VersionError
	switch {
	case err == nil:
		t.Errorf("%s: accepted", d.what)
	case errors.As(err, &version):
	case errors.As(err, &damage):
		// The frame in which the difference is, at the earliest.
		if d.from >= 0 && damage.Offset < int64(o.borderBefore(d.from)) || damage.Offset > int64(len(d.bytes)) || damage.Where == "" {
			t.Errorf("%s (from byte %d): found at byte %d of %d: %v", d.what, d.from, damage.Offset, len(d.bytes), err)
		}
	default:
		t.Errorf("%s: the error does not say where: %v", d.what, err)
	}
}

// borderBefore is where the frame begins that has the byte.
func (o *original) borderBefore(at int) int {
	i, found := slices.BinarySearch(o.borders, at)
	if !found {
		i--
	}
	return o.borders[i]
}

func different(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// raw is a damage that the trailer was not made to fit.
func (o *original) raw(what string, parts ...[]byte) damaged {
	b := slices.Concat(parts...)
	return damaged{what, b, different(o.bytes, b)}
}

// fitting is one by somebody who knows how the trailer is made.
func fitting(what string, frames ...[]byte) damaged {
	return damaged{what + ", trailer made to fit", vectors.Assemble(frames...), -1}
}

func TestFlipsAndCuts(t *testing.T) {
	o, _ := sample(t, "ring", 0)
	n := harness.Rounds(100, 1000)
	for range n {
		o.flip(rand.IntN(len(o.bytes))).judge(t, o)
		o.flip(rand.IntN(o.borders[o.pages])).judge(t, o) // of the skeleton
		o.cut(rand.IntN(len(o.bytes))).judge(t, o)
	}
	for _, at := range o.borders {
		o.cut(at).judge(t, o)
	}
	o.raw("something behind it", o.bytes, []byte{0}).judge(t, o)
	o.raw("twice", o.bytes, o.bytes).judge(t, o)
	t.Logf("%d bytes in %d frames: %d flips anywhere, %d in the skeleton, %d cuts anywhere, %d between frames",
		len(o.bytes), len(o.frames), n, n, n, len(o.borders))
}

// flip changes one byte, by one bit or by several.
func (o *original) flip(at int) damaged {
	b := slices.Clone(o.bytes)
	b[at] ^= byte(1 + rand.IntN(255))
	return o.raw(fmt.Sprintf("byte %d of %d changed from %#x to %#x", at, len(b), o.bytes[at], b[at]), b)
}

func (o *original) cut(at int) damaged {
	return o.raw(fmt.Sprintf("cut at byte %d of %d", at, len(o.bytes)), o.bytes[:at])
}

// TestFrames takes frames away, doubles, swaps and replaces them, as damage and
// as somebody would who knows how the trailer is made. The big sample has a
// skeleton of several frames.
func TestFrames(t *testing.T) {
	for _, program := range []string{"ring", "skeleton"} {
		t.Run(program, func(t *testing.T) {
			o, other := sample(t, program, 3)
			if program == "skeleton" && o.pages < 3 {
				t.Fatalf("the skeleton has only %d frames", o.pages)
			}
			var all []damaged
			for i := range o.frames {
				// Of the big sample, those where skeleton and pages meet.
				if program == "ring" || i <= o.pages+1 || i == len(o.frames)-1 || harness.Acceptance() {
					all = append(all, surgery(o, other, i)...)
				}
			}
			for _, d := range all {
				d.judge(t, o)
			}
			t.Logf("%d frames, %d of them the skeleton's: %d damages", len(o.frames), o.pages, len(all))
		})
	}
}

// surgery is all that can be done to frame i, and to it and the one before.
func surgery(o, other *original, i int) []damaged {
	var all []damaged
	trailer := o.bytes[o.borders[len(o.frames)]:]
	add := func(fits bool, what string, frames ...[]byte) {
		all = append(all, o.raw(what, slices.Concat(frames...), trailer))
		if fits {
			all = append(all, fitting(what, frames...))
		}
	}
	frame, before, after := o.frames[i], o.frames[:i], o.frames[i+1:]
	add(true, fmt.Sprintf("frame %d missing", i), slices.Concat(before, after)...)
	add(true, fmt.Sprintf("frame %d doubled", i), slices.Concat(before, [][]byte{frame, frame}, after)...)
	if i < len(other.frames) && !bytes.Equal(frame, other.frames[i]) {
		add(true, fmt.Sprintf("frame %d of another statefile", i), slices.Concat(before, [][]byte{other.frames[i]}, after)...)
	}
	if i > 0 {
		// Frames of pages have no order: only the digest knows that it was another.
		ordered := i <= o.pages || len(after) == 0
		add(ordered, fmt.Sprintf("frames %d and %d swapped", i-1, i), slices.Concat(before[:i-1], [][]byte{frame, before[i-1]}, after)...)
	}
	return all
}

// TestRecordBorders cuts at every border of two records, within frames too: the
// frames are made anew, and the trailer fits.
func TestRecordBorders(t *testing.T) {
	o, _ := sample(t, "ring", 0)
	cuts := 0
	for i, f := range o.frames {
		var kept [][]byte
		for content := vectors.Content(f); len(content) > 0; cuts++ {
			frames := slices.Clone(o.frames[:i])
			if len(kept) > 0 {
				frames = append(frames, vectors.Frame(kept...))
			}
			if cuts > 0 { // else it is empty
				fitting(fmt.Sprintf("cut before record %d", cuts), frames...).judge(t, o)
			}
			_, n := protowire.ConsumeBytes(content)
			kept, content = append(kept, content[:n]), content[n:]
		}
	}
	t.Logf("%d cuts", cuts)
}

// version makes the header one of another version, and all sums fit.
func (o *original) version(version uint32) damaged {
	var lines [][]byte
	for i, r := range records(o.frames[0]) {
		if i == 0 {
			r.GetHeader().Version = version
		}
		lines = append(lines, vectors.Record(r))
	}
	frames := slices.Clone(o.frames)
	frames[0] = vectors.Frame(lines...)
	return fitting(fmt.Sprintf("version %d", version), frames...)
}

func TestOtherVersions(t *testing.T) {
	o, _ := sample(t, "ring", 0)
	for _, version := range []uint32{0, writer.Version + 1, 1 << 31} {
		var v *reader.VersionError
		if err := read(o.version(version).bytes); !errors.As(err, &v) || v.Version != version {
			t.Errorf("version %d: %v", version, err)
		}
	}
}
