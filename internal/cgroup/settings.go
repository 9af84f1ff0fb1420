// Package cgroup knows the files of a cgroup that are settings: how each is
// read, and what to write so that it reads so again. Of both versions.
package cgroup

import (
	"cmp"
	"path"
	"strings"
)

// Setting is a file of a cgroup that can be read and set.
type Setting struct {
	pattern string // path.Match
	version int    // 0: both
	// writes are what to write, and where to, so that the file that reads now
	// reads want. nil: want itself.
	writes func(now, want string) []Write
	// Inner: it says what the container as a whole is told by whoever holds it, so
	// that of the container's own cgroup is not part of its state.
	Inner bool
	// Last: it is set when all tasks are in, at the very end.
	Last bool
}

// Write is a text that is written into a file of a cgroup.
type Write struct{ File, Text string }

// settings are all that are known, in the order in which they are set.
// Documentation/admin-guide/cgroup-v1, Documentation/admin-guide/cgroup-v2.rst;
// kernel/cgroup, kernel/sched/core.c, mm/memcontrol.c, mm/memcontrol-v1.c,
// block/blk-cgroup.c and its like as of Linux 6.18.
//
// Not among them: what counts or tells only (…stat, …current, …events, …peak,
// failcnt), what acts (cgroup.kill, memory.reclaim, memory.force_empty), what
// other files say, too (cpu.weight.nice), and what only the root has
// (release_agent).
var settings = []Setting{
	{pattern: "cgroup.type", version: 2, writes: threaded, Inner: true},
	{pattern: "cgroup.subtree_control", version: 2, writes: controllers},
	{pattern: "cgroup.max.depth", version: 2},
	{pattern: "cgroup.max.descendants", version: 2},
	{pattern: "cgroup.pressure", version: 2},
	{pattern: "cgroup.freeze", version: 2, Inner: true, Last: true},
	{pattern: "cgroup.clone_children", version: 1},
	{pattern: "notify_on_release", version: 1},

	{pattern: "cpuset.cpus"},
	{pattern: "cpuset.mems"},
	{pattern: "cpuset.cpus.exclusive", version: 2},
	{pattern: "cpuset.cpus.partition", version: 2, writes: firstWord},
	{pattern: "cpuset.cpu_exclusive", version: 1},
	{pattern: "cpuset.mem_exclusive", version: 1},
	{pattern: "cpuset.mem_hardwall", version: 1},
	{pattern: "cpuset.memory_migrate", version: 1},
	{pattern: "cpuset.memory_spread_page", version: 1},
	{pattern: "cpuset.memory_spread_slab", version: 1},
	{pattern: "cpuset.sched_load_balance", version: 1},
	{pattern: "cpuset.sched_relax_domain_level", version: 1},

	{pattern: "cpu.weight", version: 2, writes: weight},
	{pattern: "cpu.max", version: 2},
	{pattern: "cpu.max.burst", version: 2},
	{pattern: "cpu.shares", version: 1},
	{pattern: "cpu.cfs_period_us", version: 1},
	{pattern: "cpu.cfs_quota_us", version: 1},
	{pattern: "cpu.cfs_burst_us", version: 1},
	{pattern: "cpu.rt_period_us", version: 1},
	{pattern: "cpu.rt_runtime_us", version: 1},
	{pattern: "cpu.uclamp.min"},
	{pattern: "cpu.uclamp.max"},
	{pattern: "cpu.uclamp.latency_sensitive", version: 1},
	{pattern: "cpu.idle"},

	{pattern: "memory.min", version: 2},
	{pattern: "memory.low", version: 2},
	{pattern: "memory.high", version: 2},
	{pattern: "memory.max", version: 2},
	{pattern: "memory.swap.high", version: 2},
	{pattern: "memory.swap.max", version: 2},
	{pattern: "memory.zswap.max", version: 2},
	{pattern: "memory.zswap.writeback", version: 2},
	{pattern: "memory.oom.group", version: 2},
	{pattern: "memory.use_hierarchy", version: 1},
	{pattern: "memory.limit_in_bytes", version: 1},
	{pattern: "memory.memsw.limit_in_bytes", version: 1},
	{pattern: "memory.soft_limit_in_bytes", version: 1},
	{pattern: "memory.kmem.tcp.limit_in_bytes", version: 1},
	{pattern: "memory.swappiness", version: 1},
	{pattern: "memory.move_charge_at_immigrate", version: 1},
	{pattern: "memory.oom_control", version: 1, writes: oomControl},

	{pattern: "io.weight", version: 2, writes: lines},
	{pattern: "io.bfq.weight", version: 2, writes: lines},
	{pattern: "io.max", version: 2, writes: lines},
	{pattern: "io.latency", version: 2, writes: lines},
	{pattern: "io.prio.class", version: 2},
	{pattern: "blkio.weight", version: 1},
	{pattern: "blkio.weight_device", version: 1, writes: lines},
	{pattern: "blkio.bfq.weight", version: 1},
	{pattern: "blkio.bfq.weight_device", version: 1, writes: lines},
	{pattern: "blkio.prio.class", version: 1},
	{pattern: "blkio.throttle.read_bps_device", version: 1, writes: lines},
	{pattern: "blkio.throttle.read_iops_device", version: 1, writes: lines},
	{pattern: "blkio.throttle.write_bps_device", version: 1, writes: lines},
	{pattern: "blkio.throttle.write_iops_device", version: 1, writes: lines},

	{pattern: "pids.max"},
	{pattern: "rdma.max", writes: lines},
	{pattern: "misc.max", writes: lines},
	{pattern: "dmem.min", version: 2, writes: lines},
	{pattern: "dmem.low", version: 2, writes: lines},
	{pattern: "dmem.max", version: 2, writes: lines},
	{pattern: "hugetlb.*B.max", version: 2},
	{pattern: "hugetlb.*B.rsvd.max", version: 2},
	{pattern: "hugetlb.*B.limit_in_bytes", version: 1},
	{pattern: "hugetlb.*B.rsvd.limit_in_bytes", version: 1},
	{pattern: "net_cls.classid", version: 1},
	{pattern: "net_prio.ifpriomap", version: 1, writes: lines},
	{pattern: "devices.list", version: 1, writes: devices},
	{pattern: "freezer.self_freezing", version: 1, writes: frozen, Inner: true, Last: true},
}

// Find finds the setting that a file is, and its place in their order; nil if it
// is none.
func Find(version int, file string) (*Setting, int) {
	for i := range settings {
		s := &settings[i]
		if s.version != 0 && s.version != version {
			continue
		}
		if ok, err := path.Match(s.pattern, file); ok && err == nil {
			return s, i
		}
	}
	return nil, -1
}

// Writes are what to write so that the file, which reads now, reads want.
func (s *Setting) Writes(file, now, want string) []Write {
	switch {
	case now == want:
		return nil
	case s.writes == nil:
		return []Write{{file, want}}
	}
	writes := s.writes(now, want)
	for i := range writes {
		if writes[i].File == "" {
			writes[i].File = file
		}
	}
	return writes
}

// threaded: the other types follow from those above and below.
func threaded(_, want string) []Write {
	if want != "threaded" {
		return nil
	}
	return []Write{{Text: want}}
}

func controllers(now, want string) []Write {
	var writes []Write
	had, has := words(want), words(now)
	for c := range strings.FieldsSeq(want) {
		if !has[c] {
			writes = append(writes, Write{Text: "+" + c})
		}
	}
	for c := range strings.FieldsSeq(now) {
		if !had[c] {
			writes = append(writes, Write{Text: "-" + c})
		}
	}
	return writes
}

func words(text string) map[string]bool {
	all := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		all[w] = true
	}
	return all
}

// firstWord: "isolated invalid (reason)" was once written as "isolated".
func firstWord(now, want string) []Write {
	have, _, _ := strings.Cut(now, " ")
	word, _, _ := strings.Cut(want, " ")
	if word == have {
		return nil
	}
	return []Write{{Text: word}}
}

// weight: that of an idle cgroup (cpu.idle) reads 0, and can't be set.
func weight(_, want string) []Write {
	if want == "0" {
		return nil
	}
	return []Write{{Text: want}}
}

// oomControl reads "oom_kill_disable 1", and more that can't be set.
func oomControl(now, want string) []Write {
	line, _, _ := strings.Cut(want, "\n")
	if have, _, _ := strings.Cut(now, "\n"); have == line {
		return nil
	}
	value, ok := strings.CutPrefix(line, "oom_kill_disable ")
	if !ok {
		return nil
	}
	return []Write{{Text: value}}
}

// lines have a key each, a device or interface, and are written one by one.
func lines(now, want string) []Write {
	var writes []Write
	for line := range strings.Lines(want) {
		line = strings.TrimSuffix(line, "\n")
		if line != "" && !hasLine(now, line) {
			writes = append(writes, Write{Text: line})
		}
	}
	return writes
}

func hasLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimSuffix(l, "\n") == line {
			return true
		}
	}
	return false
}

// devices: devices.list names what is allowed; "a *:* rwm" is all of it. What a
// cgroup that allows all forbids none the less, no file tells
// (devcgroup_seq_show, security/device_cgroup.c, Linux 6.18).
func devices(now, want string) []Write {
	const all = "a *:* rwm"
	if want == all {
		return []Write{{"devices.allow", "a"}}
	}
	if sameLines(now, want) {
		return nil
	}
	writes := []Write{{"devices.deny", "a"}}
	for line := range strings.Lines(want) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			writes = append(writes, Write{"devices.allow", line})
		}
	}
	return writes
}

func sameLines(a, b string) bool {
	for line := range strings.Lines(a) {
		if !hasLine(b, strings.TrimSuffix(line, "\n")) {
			return false
		}
	}
	return strings.Count(a, "\n") == strings.Count(b, "\n")
}

func frozen(_, want string) []Write {
	text := "THAWED"
	if want == "1" {
		text = "FROZEN"
	}
	return []Write{{"freezer.state", text}}
}

// Compare orders files of a cgroup as they are set; what is no setting comes
// first.
func Compare(version int, a, b string) int {
	_, i := Find(version, a)
	_, j := Find(version, b)
	return cmp.Or(cmp.Compare(i, j), cmp.Compare(a, b))
}
