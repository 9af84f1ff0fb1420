package vdso

import (
	"bytes"
	"testing"
)

// Every kernel's vdso tells the time.
func clock(t *testing.T, code []byte) Entry {
	t.Helper()
	entries, err := Entries(code)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name == "__vdso_clock_gettime" || e.Name == "__kernel_clock_gettime" {
			return e
		}
	}
	t.Fatalf("no clock_gettime among %v", entries)
	return Entry{}
}

func own(t testing.TB) []byte {
	t.Helper()
	code, err := Code()
	if err != nil {
		t.Fatal(err)
	}
	if code == nil {
		t.Skip("this kernel has no vdso")
	}
	return code
}

func TestRedirect(t *testing.T) {
	code := own(t)
	c := clock(t, code)
	const at = 0x7f0000000000
	for name, toAt := range map[string]uint64{"near": at + 1<<20, "far": 0x10000000} {
		got, err := Redirect(code, at, code, toAt)
		if err != nil {
			t.Fatal(err)
		}
		want := jump(at+c.Offset, toAt+c.Offset)
		if !bytes.HasPrefix(got[c.Offset:], want) {
			t.Errorf("%s: clock_gettime begins with % x instead of % x", name, got[c.Offset:][:len(want)], want)
		}
		if again, err := Entries(got); err != nil || len(again) == 0 {
			t.Errorf("%s: the patched vdso is none any more: %v", name, err)
		}
		if got[0] != code[0] || bytes.Equal(got, code) {
			t.Errorf("%s: nothing was changed, or all", name)
		}
	}
}

// FuzzEntries: no file does any harm.
func FuzzEntries(f *testing.F) {
	code := own(f)
	f.Add(code)
	f.Add(code[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, _ := Entries(b)
		for _, e := range entries {
			_ = b[e.Offset : e.Offset+e.Size]
		}
		_, _ = Redirect(b, 0, code, 1<<40)
	})
}
