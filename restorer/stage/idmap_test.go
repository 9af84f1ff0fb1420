package stage

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
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
