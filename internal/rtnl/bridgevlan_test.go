package rtnl

import "testing"

// TestUsual: a port that is in the default VLAN alone, untagged, has what a new one
// gets.
func TestUsual(t *testing.T) {
	for _, c := range []struct {
		v    VLANs
		want bool
	}{
		{VLANs{List: []uint32{6<<16 | 1}}, true},
		{VLANs{List: []uint32{6<<16 | 2}}, false},
		{VLANs{List: []uint32{4<<16 | 1}}, false},
		{VLANs{List: []uint32{6<<16 | 1, 7}}, false},
		{VLANs{}, false},
		{VLANs{List: []uint32{6<<16 | 1}, Tunnels: true}, false},
	} {
		if got := c.v.Usual(1); got != c.want {
			t.Errorf("%+v: %v", c.v, got)
		}
	}
}
