package bpf

import (
	"encoding/binary"

	"github.com/cilium/ebpf/btf"

	"lxc-checkpoint/dumper/view"
)

// seenOffsets are where the fields of view.Seen lie.
type seenOffsets struct {
	files, fs, cgroups, pid uint32 // of task_struct
	timerSlack, personality uint32 // of task_struct
	user, session           uint32 // of cred
	level, numbers          uint32 // of pid
	namespace               uint32 // of upid
	number                  uint32 // size of upid
	timers, limits          uint32 // of signal_struct
	oomScoreAdj             uint32 // of signal_struct
	autogroup               uint32 // of signal_struct; 0: this kernel has none
	groupNice               uint32 // of autogroup
}

// The part of the record for them.
const (
	seenFiles       = 0
	seenFs          = 8
	seenCgroups     = 16
	seenTimerSlack  = 24
	seenTimers      = 32 // the list's first pointer
	seenUser        = 40
	seenPID         = 48 // struct pid
	seenNumber      = 56 // of its struct upid, before numbers is added
	seenPIDNS       = 64
	seenGroup       = 72 // struct autogroup
	seenGroupNice   = 80 // 4
	seenLevel       = 84 // 4
	seenPersonality = 88 // 4
	seenOOM         = 92 // 2, padded
	seenSession     = 96 // struct key
	seenLimits      = 104
	seenSize        = seenLimits + limits*limitSize

	limits    = 16
	limitSize = 16 // struct rlimit: current, maximum
)

// findSeen looks the offsets up.
func findSeen(spec *btf.Spec) *seenOffsets {
	o := &seenOffsets{}
	for _, f := range []struct {
		in, name string
		to       *uint32
	}{
		{"task_struct", "files", &o.files},
		{"task_struct", "fs", &o.fs},
		{"task_struct", "cgroups", &o.cgroups},
		{"task_struct", "thread_pid", &o.pid},
		{"task_struct", "timer_slack_ns", &o.timerSlack},
		{"task_struct", "personality", &o.personality},
		{"cred", "user_ns", &o.user},
		{"pid", "level", &o.level},
		{"pid", "numbers", &o.numbers},
		{"upid", "ns", &o.namespace},
		{"signal_struct", "posix_timers", &o.timers},
		{"signal_struct", "rlim", &o.limits},
		{"signal_struct", "oom_score_adj", &o.oomScoreAdj},
	} {
		m, err := member(spec, f.in, f.name)
		if err != nil {
			return nil
		}
		*f.to = uint32(m) / 8
	}
	var upid *btf.Struct
	if spec.TypeByName("upid", &upid) != nil {
		return nil
	}
	o.number = upid.Size
	group, err := member(spec, "signal_struct", "autogroup")
	nice, err2 := member(spec, "autogroup", "nice")
	if session, err := member(spec, "cred", "session_keyring"); err == nil {
		o.session = uint32(session) / 8
	}
	if err == nil && err2 == nil {
		o.autogroup, o.groupNice = uint32(group)/8, uint32(nice)/8
	}
	return o
}

// parse reads the part of a whole record.
func (o *seenOffsets) parse(record []byte) *view.Seen {
	if o == nil {
		return nil
	}
	b := record[atSeen:]
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	half := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	signal := binary.NativeEndian.Uint64(record[atSignal:])
	s := &view.Seen{
		Mm: binary.NativeEndian.Uint64(record[atMM:]), Sighand: binary.NativeEndian.Uint64(record[atSighand:]),
		Files: word(seenFiles), Fs: word(seenFs), Cgroups: word(seenCgroups),
		Namespaces:     view.Namespaces{Set: binary.NativeEndian.Uint64(record[atNSProxy:]), PID: word(seenPIDNS), User: word(seenUser)},
		SessionKeyring: word(seenSession),
		TimerSlack:     word(seenTimerSlack), Personality: half(seenPersonality),
		// An empty list is nothing or, before Linux 6.13, points to itself.
		PosixTimers:   word(seenTimers) != 0 && word(seenTimers) != signal+uint64(o.timers),
		OOMScoreAdj:   int32(int16(binary.NativeEndian.Uint16(b[seenOOM:]))),
		AutogroupNice: int32(half(seenGroupNice)),
	}
	return s
}

// parseLimits reads the limits of a whole record.
func parseLimits(record []byte) (all []view.Limit) {
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(record[at:]) }
	for i := range limits {
		at := atSeen + seenLimits + i*limitSize
		all = append(all, view.Limit{Current: word(at), Maximum: word(at + 8)})
	}
	return all
}
