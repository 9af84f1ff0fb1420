package xfrm

import (
	"testing"

	"lxc-checkpoint/internal/netlink"
)

// TestKept: a policy is kept without what it has seen, and one of a socket is not.
func TestKept(t *testing.T) {
	told := make([]byte, sizeofPolicy)
	told[lifetimeAt] = 1
	told = netlink.Append(told, netlink.Uint32(31, 7))
	told = netlink.Append(told, netlink.Uint32(99, 7))
	body, ok, err := kept(told)
	if err != nil || !ok || body[lifetimeAt] != 0 || Check(body) != nil || len(body) != sizeofPolicy+8 {
		t.Errorf("kept is % x, %v, %v", body, ok, err)
	}
	told[directionAt] = forward + 1
	if _, ok, _ := kept(told); ok || Check(told) == nil {
		t.Error("a socket's policy passes")
	}
	if Check(body[:sizeofPolicy-1]) == nil {
		t.Error("a short one passes")
	}
}
