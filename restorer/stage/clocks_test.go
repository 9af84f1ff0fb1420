package stage

import (
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/clocks"
	"lxc-checkpoint/internal/procfs"
)

// TestOffsets: what the clocks of a container go on from.
func TestOffsets(t *testing.T) {
	const s = 1_000_000_000
	now := clocks.Times{Realtime: 1000 * s, Monotonic: 50 * s, Boottime: 60 * s}
	for _, c := range []struct {
		name string
		boot string
		own  bool
		want *procfs.TimeOffsets
	}{
		{"the same run, the host's clocks", "here", false, nil},
		{"the same run, clocks of its own", "here", true, &procfs.TimeOffsets{Monotonic: 250 * s, Boottime: 7 * s}},
		{"another run, the host's clocks", "elsewhere", false, &procfs.TimeOffsets{Monotonic: 250 * s, Boottime: (400 + 100 - 60) * s}},
		{"another run, clocks of its own", "elsewhere", true, &procfs.TimeOffsets{Monotonic: 250 * s, Boottime: (400 + 100 - 60) * s}},
		{"an image that does not tell", "", false, nil},
	} {
		k := &format.Skeleton{
			Header:    &format.Header{BootId: c.boot, TimeNs: 900 * s, MonotonicNs: 300 * s, BoottimeNs: 400 * s},
			Container: &format.Container{},
			Namespaces: []*format.Namespace{
				{Kind: format.NamespaceKind_TIME, Own: c.own, Time: &format.TimeOffsets{BoottimeNs: 7 * s}},
			},
		}
		if c.own {
			k.Container.CloneFlags = unix.CLONE_NEWTIME
		}
		got := offsets(k, now, "here")
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
