package reader_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"lxc-checkpoint/image/reader"
	"lxc-checkpoint/image/vectors"
)

// TestInherited: inherited pages come before all others, and their end is told
// before anything behind it is read.
func TestInherited(t *testing.T) {
	b := vectors.Write(vectors.Everything(), vectors.ImageID,
		vectors.Pages{Owner: vectors.InheritedID, Offset: 0x11000, Data: append(vectors.Fill('c'), vectors.Fill('d')...)},
		vectors.Pages{Owner: vectors.MmID, Offset: 0x40000, Data: vectors.Fill('k')})
	frames := vectors.Frames(b)
	// The skeleton, the inherited pages, their end, the others, the end.
	if len(frames) != 5 {
		t.Fatalf("%d frames", len(frames))
	}
	// What follows the end of the inherited pages is not there yet.
	r, err := reader.New(bytes.NewReader(slices.Concat(frames[:3]...)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := 0
	id, err := r.Inherited(context.Background(), 2, func(owner uint32, offset uint64, data []byte) error {
		got += len(data)
		return nil
	})
	if err != nil || id != vectors.InheritedID || got != 2*vectors.Page {
		t.Errorf("%d bytes of %d: %v", got, id, err)
	}
	if err := read(b); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		what  string
		order []int
		want  string
	}{
		{"no end of the inherited pages", []int{0, 1, 3, 4}, "not where the layout has them"},
		{"the end before the pages", []int{0, 2, 1, 3, 4}, "not where the layout has them"},
		{"the pages after others", []int{0, 2, 3, 1, 4}, "not where the layout has them"},
		{"two ends", []int{0, 1, 2, 2, 3, 4}, "belongs to no content"},
		{"nothing but the skeleton", []int{0}, "end of the inherited pages 201 is missing"},
		{"the end of all instead", []int{0, 1, 4, 2, 3}, "should be the end of inherited pages"},
	} {
		var mixed [][]byte
		for _, i := range c.order {
			mixed = append(mixed, frames[i])
		}
		err := read(vectors.Assemble(mixed...))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	for at := range len(b) {
		flipped := slices.Clone(b)
		flipped[at] ^= 1 << (at % 8)
		rejected(t, "a flipped bit", flipped)
	}
}
