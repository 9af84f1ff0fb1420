package cpufeature

import (
	"runtime"
	"slices"
	"testing"
)

func TestUsable(t *testing.T) {
	names, err := Usable()
	if err != nil {
		t.Fatal(err)
	}
	if common := map[string]string{"amd64": "sse2", "arm64": "fp"}[runtime.GOARCH]; !slices.Contains(names, common) {
		t.Errorf("this CPU has no %s, but %v", common, names)
	}
	if got := Missing([]string{"a", "b", "c"}, []string{"b"}); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("missing: %v", got)
	}
}
