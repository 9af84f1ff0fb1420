package tasks

import (
	"bytes"
	"strings"
	"testing"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/vectors"
	"lxc-checkpoint/internal/sys"
)

// TestRearrange: registers of a CPU that has them at other places.
func TestRearrange(t *testing.T) {
	intel := []*format.XsaveComponent{
		{Number: 2, Offset: 576, Size: 256}, {Number: 5, Offset: 1088, Size: 64}, {Number: 6, Offset: 1152, Size: 512},
		{Number: 7, Offset: 1664, Size: 1024}, {Number: 9, Offset: 2688, Size: 8},
	}
	amd := []sys.XsaveComponent{
		{Number: 2, Offset: 576, Size: 256}, {Number: 5, Offset: 832, Size: 64}, {Number: 6, Offset: 896, Size: 512},
		{Number: 7, Offset: 1408, Size: 1024}, {Number: 9, Offset: 2432, Size: 8},
	}
	from := make([]byte, 2696)
	for _, c := range intel {
		copy(from[c.Offset:c.Offset+c.Size], bytes.Repeat([]byte{byte(c.Number)}, int(c.Size)))
	}
	from[0], from[legacyArea] = 0x7f, 0xe7 // all but PKRU, whose bytes mean nothing then
	to, err := rearrange(from, intel, amd, 2440)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range amd {
		want := bytes.Repeat([]byte{byte(c.Number)}, int(c.Size))
		if c.Number == 9 {
			want = make([]byte, c.Size)
		}
		if !bytes.Equal(to[c.Offset:c.Offset+c.Size], want) {
			t.Errorf("component %d is not where it belongs", c.Number)
		}
	}
	if len(to) != 2440 || to[0] != 0x7f || to[legacyArea] != 0xe7 {
		t.Errorf("the area's begin changed, or its size is %d", len(to))
	}
	for what, c := range map[string]struct {
		from []byte
		ours []sys.XsaveComponent
		want string
	}{
		"a CPU without AVX-512": {from, amd[:1], "AVX-512 masks"},
		"another size":          {from, []sys.XsaveComponent{{Number: 2, Offset: 576, Size: 128}}, "AVX registers"},
		"an area cut off":       {from[:600], amd, "AVX registers"},
		"no area":               {from[:575], amd, "fewer"},
	} {
		if _, err := rearrange(c.from, intel, c.ours, 2440); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCheckCPU: what this CPU lacks is named.
func TestCheckCPU(t *testing.T) {
	s := vectors.Smallest()
	if err := CheckCPU(s); err != nil {
		t.Error(err)
	}
	s.Header.CpuFeatures = []string{"sse2", "warp_drive"}
	if err := CheckCPU(s); err == nil || !strings.Contains(err.Error(), "lacks warp_drive,") {
		t.Errorf("warp_drive: %v", err)
	}
	s.Header.CpuFeatures, s.Header.XsaveMask = nil, 1<<62
	if err := CheckCPU(s); err == nil || !strings.Contains(err.Error(), "component 62") {
		t.Errorf("a register component: %v", err)
	}
}
