package memory

import (
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/procfs"
	"lxc-checkpoint/internal/sys"
)

// advice of madvise(2) by the flag it leaves in smaps (show_smap_vma_flags,
// fs/proc/task_mmu.c).
var advice = []struct {
	flag   string
	advice uint32
}{
	{"sr", unix.MADV_SEQUENTIAL},
	{"rr", unix.MADV_RANDOM},
	{"dc", unix.MADV_DONTFORK},
	{"wf", unix.MADV_WIPEONFORK},
	{"dd", unix.MADV_DONTDUMP},
	{"mg", unix.MADV_MERGEABLE},
	{"hg", unix.MADV_HUGEPAGE},
	{"nh", unix.MADV_NOHUGEPAGE},
}

// Flags of a mapping that stand in the way, whatever else it is.
var obstacles = []struct{ flag, kind, reason, remedy string }{
	{"um", "userfaultfd", "a userfaultfd handles its page faults", "let the program unregister it"},
	{"uw", "userfaultfd", "a userfaultfd watches writes to it", "let the program unregister it"},
	{"ui", "userfaultfd", "a userfaultfd handles its minor page faults", "let the program unregister it"},
	{"ss", "shadow stack", "its contents can't be made again by this version", "start the program with GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK"},
	{"mt", "memory tags", "the tags of its memory (MTE) can't be saved by this version", ""},
}

// bti is PROT_BTI of arm64 (arch/arm64/include/uapi/asm/mman.h), "bt" in smaps.
const bti = 0x10

// vma describes a mapping; nil if it was refused.
func (l *looker) vma(s *spaceLook, a *procfs.MappedArea) (*format.Vma, error) {
	v := &format.Vma{Start: a.Start, End: a.End, Prot: a.Prot}
	if kind := kernelOwn(a.Path); kind != format.VmaKind_VMA_UNSPECIFIED {
		v.Kind = kind
		return v, nil
	}
	flags := map[string]bool{}
	for f := range strings.SplitSeq(a.Flags, " ") {
		flags[f] = true
	}
	for _, o := range obstacles {
		if flags[o.flag] {
			s.refuse(a, o.kind, o.reason, o.remedy)
			return nil, nil
		}
	}
	if a.ProtectionKey != 0 && !sys.SavesKeys {
		s.refuse(a, "protection key", "keys of pkey_alloc(2) can't be made again by this version on this CPU", "")
		return nil, nil
	}
	v.ProtectionKey = uint32(a.ProtectionKey)
	v.GrowsDown = flags["gd"]
	v.NoReserve = flags["nr"]
	// Linux 6.1 has no letters for VM_LOCKONFAULT and writes "??", as for no other
	// flag that locked memory of a program can have.
	v.Locked, v.LockOnFault = flags["lo"], flags["lf"] || flags["lo"] && flags["??"]
	v.Droppable, v.Sealed = flags["dp"], flags["sl"]
	for _, d := range advice {
		if flags[d.flag] {
			v.Advice = append(v.Advice, d.advice)
		}
	}
	if flags["bt"] {
		v.Prot |= bti
	}
	switch {
	case a.Inode != 0 || strings.HasPrefix(a.Path, "/"):
		return l.withFile(s, a, v, flags)
	case flags["io"] || flags["pf"]:
		s.refuse(a, "memory of a device", "it belongs to a driver of this host", "")
		return nil, nil
	case a.Path == "[uprobes]":
		s.refuse(a, "uprobe", "a probe of this host is set in the program", "remove the probe (perf probe, bpftrace) and restart the program")
		return nil, nil
	}
	v.Kind = format.VmaKind_VMA_ANONYMOUS
	v.IsHeap = a.Path == "[heap]"
	v.IsStack = a.Path == "[stack]"
	v.Name = anonymousName(a.Path, "[anon:")
	return v, nil
}

// withFile describes a mapping that has a file behind it, be it one that the
// kernel made for it.
func (l *looker) withFile(s *spaceLook, a *procfs.MappedArea, v *format.Vma, flags map[string]bool) (*format.Vma, error) {
	v.Offset = a.Offset
	if a.Path == "/anon_hugepage (deleted)" && !a.Shared {
		v.Kind = format.VmaKind_VMA_ANONYMOUS
		v.Offset = 0
		v.HugePageSize = uint32(a.KernelPageSize)
		return v, nil
	}
	if strings.HasPrefix(a.Path, "anon_inode:[io_uring]") {
		return l.ofRing(s, a, v)
	}
	if ring := l.env.PacketRings[a.Inode]; ring.File != 0 && strings.HasPrefix(a.Path, "socket:") {
		return l.ofPacketRing(s, a, v, ring)
	}
	if a.Path == "/[aio] (deleted)" {
		return l.ofAio(s, a, v)
	}
	if o := specialFile(a, flags); o != nil {
		s.refuse(a, o.Kind, o.Reason, o.Remedy)
		return nil, nil
	}
	f, err := l.file(s, a)
	if f == nil || err != nil {
		return nil, err
	}
	v.File = f.id
	if f.object != nil {
		v.SharedMemory = f.object.Message.Id
		if f.object.Message.Kind == nil && a.Shared {
			v.Kind, v.File = format.VmaKind_VMA_SHARED_ANONYMOUS, nil
			v.Name = anonymousName(a.Path, "[anon_shmem:")
			return v, nil
		}
	}
	v.MayWrite = flags["mw"]
	v.Kind = format.VmaKind_VMA_FILE_PRIVATE
	if a.Shared {
		v.Kind = format.VmaKind_VMA_FILE_SHARED
	}
	return v, nil
}

// specialFile tells files that have no path by which a restart could find
// them; nil for an ordinary one.
func specialFile(a *procfs.MappedArea, flags map[string]bool) *view.Obstacle {
	p := a.Path
	switch {
	case strings.HasPrefix(p, "/secretmem"):
		return obstacle("secret memory", "the kernel hides memory of memfd_secret(2) even from root", "")
	case strings.HasPrefix(p, "anon_inode:[perf_event]"):
		return obstacle("perf event", "it counts on this host's CPU", "end the profiler")
	case strings.HasPrefix(p, "anon_inode:"):
		return obstacle(strings.TrimSuffix(strings.TrimPrefix(p, "anon_inode:["), "]"), "memory that a kernel object shares with the program can't be made again by this version", "")
	case strings.HasPrefix(p, "socket:"):
		return obstacle("socket ring", "no descriptor leads to the socket whose ring is mapped, or it is of a kind that can't be made again", "have the program keep a descriptor of it, or end it before the checkpoint")
	case strings.HasPrefix(p, "/dmabuf:"), flags["io"], flags["pf"]:
		return obstacle("memory of a device", "it belongs to a driver of this host", "")
	}
	return nil
}

func obstacle(kind, reason, remedy string) *view.Obstacle {
	return &view.Obstacle{Kind: kind, Reason: reason, Remedy: remedy}
}

// kernelOwn tells the mappings that the kernel makes by itself.
func kernelOwn(path string) format.VmaKind {
	switch path {
	case "[vdso]":
		return format.VmaKind_VMA_VDSO
	case "[vvar]":
		return format.VmaKind_VMA_VVAR
	case "[vvar_vclock]":
		return format.VmaKind_VMA_VVAR_VCLOCK
	case "[vsyscall]":
		return format.VmaKind_VMA_VSYSCALL
	}
	return format.VmaKind_VMA_UNSPECIFIED
}

// anonymousName takes the name of PR_SET_VMA_ANON_NAME out of "[anon:NAME]".
func anonymousName(path, prefix string) string {
	if name, ok := strings.CutPrefix(path, prefix); ok {
		return strings.TrimSuffix(name, "]")
	}
	return ""
}

func device(a *procfs.MappedArea) uint64 { return uint64(a.Major)<<32 | uint64(a.Minor) }
