package wireguard

import (
	"testing"

	"lxc-checkpoint/internal/netlink"
)

// TestKept: an image has keys and addresses, and nothing that can't be set.
func TestKept(t *testing.T) {
	peer := netlink.Nest(0, netlink.Bytes(1, make([]byte, 32)), netlink.Bytes(6, make([]byte, 16)), netlink.Uint32(5, 25), netlink.Bytes(7, make([]byte, 8)))
	var told []byte
	for _, a := range []netlink.Attribute{netlink.Uint32(1, 40), netlink.String(2, "wg0"), netlink.Bytes(3, make([]byte, 32)), netlink.Bytes(4, make([]byte, 32)), netlink.Uint32(7, 9), netlink.Nest(8, peer)} {
		told = netlink.Append(told, a)
	}
	body, err := kept(told)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	less := netlink.Nest(0, netlink.Bytes(1, make([]byte, 32)), netlink.Uint32(5, 25))
	for _, a := range []netlink.Attribute{netlink.Bytes(3, make([]byte, 32)), netlink.Uint32(7, 9), netlink.Nest(8, less)} {
		want = netlink.Append(want, a)
	}
	if string(body) != string(want) {
		t.Errorf("kept is % x, not % x", body, want)
	}
	if err := Check(body); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string][]byte{"what is told": told, "a cut one": body[:len(body)-1], "too much": make([]byte, maxBody+4)} {
		if Check(bad) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
