package sys

import "testing"

func TestXsave(t *testing.T) {
	mask, err := XsaveMask()
	if err != nil {
		t.Fatal(err)
	}
	size, err := XsaveSize()
	if err != nil {
		t.Fatal(err)
	}
	// x87 and SSE are in every one; the legacy area and the header take 576.
	if mask&3 != 3 || size < 576 || size > 1<<16 {
		t.Errorf("mask %#x, size %d", mask, size)
	}
}
