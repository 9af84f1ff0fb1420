package ipset

import (
	"slices"
	"testing"

	"lxc-checkpoint/internal/netlink"
)

// TestSplit: of a set that the kernel tells, one message makes it, without what it
// counts, and one fills it, with addresses in the order of bytes that it takes.
func TestSplit(t *testing.T) {
	const references, maxElements, ip = 25, 19, 1
	element := netlink.Nest(data, netlink.Nest(ip, netlink.Bytes(1, []byte{10, 0, 0, 1})))
	told := netlink.Append(header(), netlink.String(setName, "s"))
	told = netlink.Append(told, netlink.String(typeName, "hash:ip"))
	told = netlink.Append(told, netlink.Nest(data, netlink.Uint32(maxElements, 9), netlink.Uint32(references, 1)))
	told = netlink.Append(told, netlink.Nest(elements, element))
	bodies, err := split(told)
	if err != nil || len(bodies) != 2 {
		t.Fatalf("%d messages: %v", len(bodies), err)
	}
	for _, body := range bodies {
		if err := Check(body); err != nil {
			t.Error(err)
		}
	}
	of := func(b []byte, typ uint16) []netlink.Attribute {
		all, err := netlink.Parse(b)
		i := slices.IndexFunc(all, func(a netlink.Attribute) bool { return a.Type == typ })
		if err != nil || i < 0 {
			t.Fatalf("no attribute %d in % x: %v", typ, b, err)
		}
		inner, err := netlink.Parse(all[i].Value)
		if err != nil {
			t.Fatal(err)
		}
		return inner
	}
	if kept := of(bodies[0][headerSize:], data); len(kept) != 1 || kept[0].Type != maxElements {
		t.Errorf("the set is made with %v", kept)
	}
	first := of(bodies[1][headerSize:], elements)[0]
	if address := of(first.Value, ip); len(address) != 1 || address[0].Flags != netlink.NetByteOrder {
		t.Errorf("the set is filled with %v", address)
	}
}

// TestCheck: what no kernel has told is not sent to one.
func TestCheck(t *testing.T) {
	for _, bad := range [][]byte{nil, {2}, {2, 0, 0, 0, 9, 0, 1, 0, 7}, netlink.Append(header(), netlink.Uint32(12, 1))} {
		if Check(bad) == nil {
			t.Errorf("% x passes", bad)
		}
	}
}
