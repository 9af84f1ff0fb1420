package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// offsets are where the fields lie in the structures of the running kernel.
type offsets struct {
	pid, tgid                  uint32 // of task_struct
	clearChildTID, deathSignal uint32
	stackPointer, stackSize    uint32
	stackFlags                 uint32
	cred, mm, signal, sighand  uint32
	securebits                 uint32 // of cred
	flags, loginUID            uint32 // of task_struct; loginuid 0: this kernel has no audit
	memoryPolicy               uint32 // of task_struct; 0: this kernel has no NUMA
	threadKeyring, itsKeyring  uint32 // of cred; 0: this kernel has no keyrings
	security                   uint32 // of cred; 0: this kernel has no security modules
	brk, mmFlags, defFlags     uint32 // of mm_struct
	cpuTimers, realTimer       uint32 // of signal_struct
	realInterval               uint32 // of signal_struct
	subreaper, subreaperBit    uint32 // byte, and bit of it
	nsproxy, pidNamespace      uint32 // of task_struct; of nsproxy
	idr, idrNext               uint32 // of pid_namespace; of idr
	actions, armed             uint32 // of sighand_struct; of hrtimer
	membarrier                 uint32 // of mm_struct
	threadInfo, threadFlags    uint32 // of task_struct; of thread_info
	ldt                        uint32 // of mm_struct; 0: this CPU has no such thing
	keys, executeOnlyKey       uint32 // the same
	aio                        uint32 // of mm_struct; 0: this kernel has no contexts of io_setup(2)
	block                      blockOffsets
	undo                       *undoOffsets     // nil: there is nothing of the kind
	seen                       *seenOffsets     // nil: this kernel has it in another shape
	timers                     *timerOffsets    // nil: the same
	deadlines                  *deadlineOffsets // nil: the same
}

// find looks the offsets up in the kernel's BTF. A field that this kernel
// does not have, or has in another shape, is an error: then the other teller
// has to do it.
func find() (o offsets, err error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return o, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	for _, f := range []struct {
		in   string
		name string
		to   *uint32
	}{
		{"task_struct", "pid", &o.pid},
		{"task_struct", "tgid", &o.tgid},
		{"task_struct", "flags", &o.flags},
		{"task_struct", "clear_child_tid", &o.clearChildTID},
		{"task_struct", "pdeath_signal", &o.deathSignal},
		{"task_struct", "sas_ss_sp", &o.stackPointer},
		{"task_struct", "sas_ss_size", &o.stackSize},
		{"task_struct", "sas_ss_flags", &o.stackFlags},
		{"task_struct", "cred", &o.cred},
		{"task_struct", "mm", &o.mm},
		{"task_struct", "signal", &o.signal},
		{"task_struct", "sighand", &o.sighand},
		{"cred", "securebits", &o.securebits},
		{"mm_struct", "brk", &o.brk},
		{"mm_struct", "flags", &o.mmFlags},
		{"mm_struct", "def_flags", &o.defFlags},
		{"signal_struct", "it", &o.cpuTimers},
		{"signal_struct", "real_timer", &o.realTimer},
		{"signal_struct", "it_real_incr", &o.realInterval},
		{"sighand_struct", "action", &o.actions},
		{"hrtimer", "state", &o.armed},
		{"mm_struct", "membarrier_state", &o.membarrier},
		{"task_struct", "thread_info", &o.threadInfo},
		{"thread_info", "flags", &o.threadFlags},
		{"task_struct", "nsproxy", &o.nsproxy},
		{"nsproxy", "pid_ns_for_children", &o.pidNamespace},
		{"pid_namespace", "idr", &o.idr},
		{"idr", "idr_next", &o.idrNext},
	} {
		m, err := member(spec, f.in, f.name)
		if err != nil {
			return o, err
		}
		*f.to = uint32(m) / 8
	}
	for _, f := range []struct {
		in   string
		name string
		to   *uint32
	}{
		{"task_struct", "loginuid", &o.loginUID},
		{"task_struct", "mempolicy", &o.memoryPolicy},
		{"cred", "security", &o.security},
		{"cred", "thread_keyring", &o.threadKeyring},
		{"cred", "process_keyring", &o.itsKeyring},
	} {
		if m, err := member(spec, f.in, f.name); err == nil { // else a matter of the kernel's configuration
			*f.to = uint32(m) / 8
		}
	}
	bit, err := member(spec, "signal_struct", "is_child_subreaper")
	if err != nil {
		return o, err
	}
	if m, err := member(spec, "mm_struct", "ioctx_table"); err == nil { // CONFIG_AIO
		o.aio = uint32(m) / 8
	}
	// What mm_context_t has on amd64 only (CONFIG_MODIFY_LDT_SYSCALL,
	// CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS).
	if context, err := member(spec, "mm_struct", "context"); err == nil {
		var t *btf.Typedef
		if err := spec.TypeByName("mm_context_t", &t); err == nil {
			if s, ok := btf.UnderlyingType(t).(*btf.Struct); ok {
				for _, f := range []struct {
					name string
					to   *uint32
				}{{"ldt", &o.ldt}, {"pkey_allocation_map", &o.keys}, {"execute_only_pkey", &o.executeOnlyKey}} {
					if at, ok := search(s.Members, f.name); ok {
						*f.to = uint32(context+at) / 8
					}
				}
			}
		}
	}
	o.subreaper, o.subreaperBit = uint32(bit)/8, uint32(bit)%8
	for _, s := range []struct {
		name string
		want int
	}{{"k_sigaction", actionSize}, {"cpu_itimer", cpuTimerSize}} {
		var t *btf.Struct
		if err := spec.TypeByName(s.name, &t); err != nil {
			return o, fmt.Errorf("struct %s: %w", s.name, err)
		}
		if int(t.Size) != s.want {
			return o, fmt.Errorf("struct %s has %d bytes in this kernel, not %d", s.name, t.Size, s.want)
		}
	}
	o.undo = findUndo(spec)
	o.seen, o.timers, o.deadlines = findSeen(spec), findTimers(spec), findDeadlines(spec)
	o.block, err = findBlock(spec)
	return o, err
}

// member finds a member of a structure, also inside of nameless ones, and
// returns its offset in bits.
func member(spec *btf.Spec, in, name string) (btf.Bits, error) {
	var s *btf.Struct
	if err := spec.TypeByName(in, &s); err != nil {
		return 0, fmt.Errorf("struct %s: %w", in, err)
	}
	if at, ok := search(s.Members, name); ok {
		return at, nil
	}
	return 0, fmt.Errorf("struct %s of this kernel has no %s", in, name)
}

func search(members []btf.Member, name string) (btf.Bits, bool) {
	_, at, ok := searchMember(members, name)
	return at, ok
}

func searchMember(members []btf.Member, name string) (*btf.Member, btf.Bits, bool) {
	for i := range members {
		m := &members[i]
		if m.Name == name {
			return m, m.Offset, true
		}
		if m.Name != "" {
			continue
		}
		if found, at, ok := searchMember(membersOf(m.Type), name); ok {
			return found, m.Offset + at, true
		}
	}
	return nil, 0, false
}

// membersOf are those of a struct or union; other types have none.
func membersOf(t btf.Type) []btf.Member {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return t.Members
	case *btf.Union:
		return t.Members
	}
	return nil
}
