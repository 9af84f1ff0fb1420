package tasks

import (
	"encoding/binary"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/tracee"

	"golang.org/x/sys/unix"
)

// filters are the seccomp filters of a container as the tree that they are in
// the kernel: each one stands on the one that was loaded before it. Tasks that
// inherited the same ones have the same last filter here.
type filters struct {
	ids   map[filterKey]uint32
	first uint32 // the one that the container's first process loaded first; 0: none
}

type filterKey struct {
	previous     uint32
	instructions string
	log          bool
}

// seccomp looks at the filters of a task and returns the last one's id.
func (k *looking) seccomp(t *tracee.Thread, refuse func(kind, reason, remedy string)) (last uint32, err error) {
	all, err := t.SeccompFilters()
	if err != nil {
		return 0, err
	}
	first := uint32(0)
	for _, f := range all {
		key := filterKey{last, string(f.Instructions), f.Log}
		id, known := k.filters.ids[key]
		if !known {
			id = k.ids.Next()
			k.filters.ids[key] = id
			k.found.SeccompFilters = append(k.found.SeccompFilters, &format.SeccompFilter{
				Id: id, Previous: last, Instructions: f.Instructions, Log: f.Log,
			})
			if notifies(f.Instructions) {
				refuse("seccomp", "a seccomp filter of it asks another process what to do with a call (SECCOMP_RET_USER_NOTIF); who listens can't be saved",
					"run it without that supervisor; if LXC is it, without lxc.seccomp.notify.proxy and the profile's lines with notify")
			}
		}
		if first == 0 {
			first = id
		}
		last = id
	}
	if k.p == k.root && t.TID() == k.p.PID {
		k.filters.first = first
	}
	if k.o.SeccompProfile && first != k.filters.first {
		refuse("seccomp", "it is not under the seccomp filter that LXC has loaded for the container, under which it would come back",
			"end it, and start it from within the container")
	}
	return last, nil
}

// notifies says whether a filter can give SECCOMP_RET_USER_NOTIF: one of its
// returns does.
func notifies(instructions []byte) bool {
	for ; len(instructions) >= 8; instructions = instructions[8:] {
		code, value := binary.LittleEndian.Uint16(instructions), binary.LittleEndian.Uint32(instructions[4:])
		if code == unix.BPF_RET|unix.BPF_K && value&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_USER_NOTIF {
			return true
		}
	}
	return false
}
