package procfs

import "testing"

func TestParseKernelVersion(t *testing.T) {
	for text, want := range map[string][2]int{
		"6.1.0-18-amd64\n": {6, 1}, "6.18.44-fc-v669\n": {6, 18}, "5.10-rc1\n": {5, 10}, "": {}, "six": {}, "6": {}, "6.x": {}, "-6.1": {},
	} {
		major, minor, err := ParseKernelVersion(text)
		if want == [2]int{} {
			if err == nil {
				t.Errorf("%q is taken for %d.%d", text, major, minor)
			}
			continue
		}
		if err != nil || [2]int{major, minor} != want {
			t.Errorf("%q: %d.%d, %v", text, major, minor, err)
		}
	}
}
