package stage

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
)

// TestForeignNamespaces: which containers with users of their own a native restart
// can't make.
func TestForeignNamespaces(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags uint64
		owner uint32
		own   bool
		want  string
	}{
		{"users of its own, and all belongs to them", unix.CLONE_NEWPID, 1, true, ""},
		{"the host's users", unix.CLONE_NEWPID, 0, false, ""},
		{"the host's processes", 0, 1, true, "the host's numbers of processes"},
		{"a network that is not its users'", unix.CLONE_NEWPID, 0, true, "(NET) does not belong"},
	} {
		s := &format.Skeleton{
			Container: &format.Container{RootPid: 1, CloneFlags: c.flags},
			Processes: []*format.Process{{Pid: 1, Namespaces: []uint32{1, 2, 3}}},
			Namespaces: []*format.Namespace{
				{Id: 1, Kind: format.NamespaceKind_USER, Own: c.own},
				{Id: 2, Kind: format.NamespaceKind_NET, Own: true, Owner: c.owner},
				{Id: 3, Kind: format.NamespaceKind_TIME},
			},
		}
		switch r := foreignNamespaces(s); {
		case r == nil && c.want != "":
			t.Errorf("%s: it is not refused", c.name)
		case r != nil && (c.want == "" || !strings.Contains(r.Error(), c.want)):
			t.Errorf("%s: %v", c.name, r)
		}
	}
}

// TestMayMap: what subuid(5) gives to root.
func TestMayMap(t *testing.T) {
	const text = "somebody:1000:500\nroot:100000:65536\n0:165536:10\nroot:x:1\n"
	for _, c := range []struct {
		from, count uint32
		may         bool
	}{{100000, 65536, true}, {100000, 65546, true}, {100000, 65547, false}, {99999, 2, false}, {1000, 1, false}, {165540, 3, true}} {
		if got := mayMap(text, procfs.IDRange{Outside: c.from, Count: c.count}); got != c.may {
			t.Errorf("%d ids from %d on: %v", c.count, c.from, got)
		}
	}
}
