package memory

import (
	"os"
	"testing"
)

// TestFitsAio: a ring that a host with few CPUs made may be smaller than the
// smallest one of a host with many.
func TestFitsAio(t *testing.T) {
	page := uint64(os.Getpagesize())
	if page != 4096 {
		t.Skipf("the numbers are for pages of 4096 bytes, here they have %d", page)
	}
	for _, c := range []struct {
		size uint64
		cpus int
		fits bool
	}{
		{page, 1, true}, {page, 15, true}, {page, 16, false}, {2 * page, 16, true}, {2 * page, 31, true}, {2 * page, 32, false}, {32 * page, 512, false}, {33 * page, 512, true},
	} {
		if got := FitsAio(c.size, c.cpus); got != c.fits {
			t.Errorf("a ring of %d bytes, %d CPUs: it fits: %v", c.size, c.cpus, got)
		}
	}
}
