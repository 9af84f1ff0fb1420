package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/btf"

	"lxc-checkpoint/dumper/view"
)

// blockOffsets are where the fields lie in a restart_block; start is where that
// is in a task_struct.
type blockOffsets struct {
	start                          uint32
	clock, remainder, sleepExpires uint32
	remainderKind                  uint32
	descriptors, count, limited    uint32
	pollSeconds, pollNanoseconds   uint32
	address, value, futexExpires   uint32
}

func findBlock(spec *btf.Spec) (o blockOffsets, err error) {
	start, err := member(spec, "task_struct", "restart_block")
	if err != nil {
		return o, err
	}
	o.start = uint32(start) / 8
	var s *btf.Struct
	if err := spec.TypeByName("restart_block", &s); err != nil {
		return o, fmt.Errorf("struct restart_block: %w", err)
	}
	if s.Size > blockSize {
		return o, fmt.Errorf("struct restart_block has %d bytes in this kernel, more than %d", s.Size, blockSize)
	}
	for _, f := range []struct {
		part, name string
		to         *uint32
	}{
		{"nanosleep", "clockid", &o.clock},
		{"nanosleep", "type", &o.remainderKind},
		{"nanosleep", "rmtp", &o.remainder},
		{"nanosleep", "expires", &o.sleepExpires},
		{"poll", "ufds", &o.descriptors},
		{"poll", "nfds", &o.count},
		{"poll", "has_timeout", &o.limited},
		{"futex", "uaddr", &o.address},
		{"futex", "val", &o.value},
		{"futex", "time", &o.futexExpires},
	} {
		at, ok := inPart(s, f.part, f.name)
		if !ok {
			return o, fmt.Errorf("struct restart_block of this kernel has no %s.%s", f.part, f.name)
		}
		*f.to = at
	}
	return o, o.findPollTime(s)
}

// findPollTime: two numbers, or, later, a struct timespec64.
func (o *blockOffsets) findPollTime(s *btf.Struct) error {
	if at, ok := inPart(s, "poll", "end_time"); ok {
		o.pollSeconds, o.pollNanoseconds = at, at+8
		return nil
	}
	var ok, ok2 bool
	o.pollSeconds, ok = inPart(s, "poll", "tv_sec")
	if o.pollNanoseconds, ok2 = inPart(s, "poll", "tv_nsec"); !ok || !ok2 {
		return fmt.Errorf("struct restart_block of this kernel tells no time of poll")
	}
	return nil
}

// inPart finds a member of one of the structures that share the memory.
func inPart(s *btf.Struct, part, name string) (uint32, bool) {
	for _, m := range s.Members {
		u, ok := btf.UnderlyingType(m.Type).(*btf.Union)
		if !ok {
			continue
		}
		for _, p := range u.Members {
			inner, ok := btf.UnderlyingType(p.Type).(*btf.Struct)
			if !ok || p.Name != part {
				continue
			}
			at, ok := search(inner.Members, name)
			return uint32(m.Offset+p.Offset+at) / 8, ok
		}
	}
	return 0, false
}

func (o *blockOffsets) parse(b []byte) *view.RestartBlock {
	word := func(at uint32) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	half := func(at uint32) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	r := &view.RestartBlock{}
	r.Sleep.Clock, r.Sleep.Remainder, r.Sleep.Expires = int32(half(o.clock)), word(o.remainder), word(o.sleepExpires)
	const compat = 2 // TT_COMPAT of enum timespec_type
	r.Sleep.Short = half(o.remainderKind) == compat
	r.Poll.Descriptors, r.Poll.Count = word(o.descriptors), half(o.count)
	r.Poll.Limited = half(o.limited) == 1
	r.Poll.Expires = word(o.pollSeconds)*1e9 + word(o.pollNanoseconds)
	r.Futex.Address, r.Futex.Value, r.Futex.Expires = word(o.address), half(o.value), word(o.futexExpires)
	return r
}
