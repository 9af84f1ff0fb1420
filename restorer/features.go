package restorer

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
	"lxc-checkpoint/restorer/fds"
	"lxc-checkpoint/restorer/memory"
	"lxc-checkpoint/restorer/stub"
)

// feature is something of the kernel that not every kernel of ours has.
type feature struct {
	name   string
	needed func(s *format.Skeleton) bool
	// missing tells whether this kernel lacks it. It changes nothing.
	missing func() bool
	remedy  string
}

func always(*format.Skeleton) bool { return true }

// lacks tells whether a call with arguments that it can't take says that there
// is no such call.
func lacks(nr, a, b, c, d uintptr) func() bool {
	return func() bool {
		_, _, errno := unix.Syscall6(nr, a, b, c, d, 0, 0)
		return errno == unix.ENOSYS
	}
}

func absent(path string) func() bool {
	return func() bool {
		_, err := os.Stat(path)
		return errors.Is(err, os.ErrNotExist)
	}
}

// Of headers that x/sys does not have yet.
const (
	madvGuardInstall = 102 // include/uapi/asm-generic/mman-common.h
	mapDroppable     = 0x08
	sysMseal         = 462 // the same on both architectures
	ipprotoMPTCP     = 262
)

var features = []feature{
	{"clone3 (Linux 5.3)", always, lacks(unix.SYS_CLONE3, 0, 0, 0, 0), "restart on Linux 5.9 or later"},
	{"pidfd_getfd (Linux 5.6)", always, lacks(unix.SYS_PIDFD_GETFD, ^uintptr(0), 0, 0, 0), "restart on Linux 5.9 or later"},
	{"openat2 (Linux 5.6)", always, lacks(unix.SYS_OPENAT2, ^uintptr(0), 0, 0, 0), "restart on Linux 5.9 or later"},
	{"prctl(PR_SET_MM_MAP) (CONFIG_CHECKPOINT_RESTORE)", always, func() bool {
		_, err := sys.PrctlMmMapSize()
		return err != nil
	}, "restart on a kernel with CONFIG_CHECKPOINT_RESTORE, as the distributions' are"},
	{"namespaces of processes (CONFIG_PID_NS)", own(unix.CLONE_NEWPID), absent("/proc/self/ns/pid"), "restart on a kernel with it"},
	{"namespaces of host names (CONFIG_UTS_NS)", own(unix.CLONE_NEWUTS), absent("/proc/self/ns/uts"), "restart on a kernel with it"},
	{"namespaces of IPC (CONFIG_IPC_NS)", own(unix.CLONE_NEWIPC), absent("/proc/self/ns/ipc"), "restart on a kernel with it"},
	{"namespaces of networks (CONFIG_NET_NS)", own(unix.CLONE_NEWNET), absent("/proc/self/ns/net"), "restart on a kernel with it"},
	{"namespaces of cgroups (CONFIG_CGROUPS)", own(unix.CLONE_NEWCGROUP), absent("/proc/self/ns/cgroup"), "restart on a kernel with it"},
	{"seccomp filters (CONFIG_SECCOMP_FILTER)", func(s *format.Skeleton) bool { return len(s.SeccompFilters) > 0 }, absent("/proc/sys/kernel/seccomp"), "restart on a kernel with it"},
	{"keyrings (CONFIG_KEYS)", func(s *format.Skeleton) bool { return len(s.SessionKeyrings) > 0 }, absent("/proc/keys"), "restart on a kernel with it"},
	{"core dumps into files (sysctl kernel.core_pattern)", func(s *format.Skeleton) bool {
		return slices.ContainsFunc(s.Processes, func(p *format.Process) bool { return unix.WaitStatus(p.WaitStatus).CoreDump() })
	}, func() bool { _, ok := stub.CorePattern(); return !ok }, "set kernel.core_pattern=core until the container runs, or have the zombie's parent wait for it"},
	{"guard regions (Linux 6.13)", func(s *format.Skeleton) bool {
		return slices.ContainsFunc(s.Mms, func(m *format.Mm) bool { return len(m.Guards) > 0 })
	}, func() bool { return !mapped(0, func(p []byte) error { return unix.Madvise(p, madvGuardInstall) }) }, "restart on Linux 6.13 or later"},
	{"MAP_DROPPABLE (Linux 6.11)", vma(func(v *format.Vma) bool { return v.Droppable }),
		func() bool { return !mapped(mapDroppable, func([]byte) error { return nil }) }, "restart on Linux 6.11 or later"},
	{"mseal (Linux 6.10)", vma(func(v *format.Vma) bool { return v.Sealed }), lacks(sysMseal, 0, 0, ^uintptr(0), 0), "restart on Linux 6.10 or later"},
	{"MPTCP (CONFIG_MPTCP)", open(func(o *format.OpenFile) bool { return o.GetTcpListener().GetMultipath() }), func() bool {
		return !socket(ipprotoMPTCP, func(int) error { return nil })
	}, "restart on a kernel with it (sysctl net.mptcp.enabled=1)"},
	{"numbers of System V objects (CONFIG_CHECKPOINT_RESTORE)", func(s *format.Skeleton) bool {
		return slices.ContainsFunc(s.SharedMemories, func(m *format.SharedMemory) bool { return m.GetSysv() != nil }) ||
			slices.ContainsFunc(s.Namespaces, func(n *format.Namespace) bool { return len(n.Ipc.GetSemaphores())+len(n.Ipc.GetQueues()) > 0 })
	}, absent("/proc/sys/kernel/shm_next_id"), "restart on a kernel with it"},
	{"protection keys (pkeys(7), of the CPU and the kernel)", func(s *format.Skeleton) bool { return slices.ContainsFunc(s.Mms, memory.HasKeys) }, func() bool {
		key, _, errno := unix.Syscall(unix.SYS_PKEY_ALLOC, 0, 0, 0)
		if errno == 0 {
			_, _, _ = unix.Syscall(unix.SYS_PKEY_FREE, key, 0, 0)
		}
		return errno != 0
	}, "restart on a host whose CPU has them (pku in /proc/cpuinfo)"},
	{"POSIX message queues (CONFIG_POSIX_MQUEUE)", func(s *format.Skeleton) bool { return len(s.MessageQueues) > 0 }, absent("/proc/sys/fs/mqueue"), "restart on a kernel with it"},
	{"fanotify (CONFIG_FANOTIFY)", open(func(o *format.OpenFile) bool { return o.GetFanotify() != nil }), lacks(unix.SYS_FANOTIFY_INIT, ^uintptr(0), 0, 0, 0), "restart on a kernel with it"},
	{"asynchronous I/O (CONFIG_AIO)", vma(func(v *format.Vma) bool { return v.Aio != nil }), lacks(unix.SYS_IO_DESTROY, 0, 0, 0, 0), "restart on a kernel with it"},
	{"contexts of asynchronous I/O for so few requests", func(s *format.Skeleton) bool { return !memory.AioFits(s) }, func() bool { return true },
		"restart on a host with as few CPUs (/sys/devices/system/cpu/possible): the kernel makes room for four requests of each"},
	{"way to have buffers of a ring of io_uring taken (Linux 6.10)", open(func(o *format.OpenFile) bool {
		return slices.ContainsFunc(o.GetIoUring().GetBufferRings(), func(b *format.IoUringBufferRing) bool { return b.Head > 0 })
	}), func() bool { return !fds.CanTakeBuffers() }, "restart on Linux 6.10 or later, or have the program do without rings of provided buffers"},
	{"eBPF (CONFIG_BPF_SYSCALL)", func(s *format.Skeleton) bool { return len(s.BpfMaps)+len(s.BpfPrograms) > 0 }, lacks(unix.SYS_BPF, ^uintptr(0), 0, 0, 0), "restart on a kernel with it"},
}

// waitingConnections are only made again where connections go on.
var waitingConnections = feature{
	"connections that begin with a chosen number (Linux 6.10)", open(func(o *format.OpenFile) bool { return len(o.GetTcpListener().GetWaiting()) > 0 }),
	func() bool { return !fds.CanWait() }, "have the program accept those that wait before the checkpoint, restart on Linux 6.10 or later, or give TCP connections up (--tcp-close)",
}

// missingFeatures names what the image needs and this kernel has not.
func missingFeatures(s *format.Skeleton, o Options) (list refusal.List) {
	needed := features
	if !o.CloseTCP && !o.AsCopy {
		needed = append(slices.Clip(needed), waitingConnections)
	}
	for _, f := range needed {
		if f.needed(s) && f.missing() {
			list = append(list, &refusal.Refusal{Object: "kernel", Reason: "it has no " + f.name + ", which the container needs", Remedy: f.remedy})
		}
	}
	return list
}

// own is the need for a kind of namespace.
func own(flag uint64) func(*format.Skeleton) bool {
	return func(s *format.Skeleton) bool { return s.Container.CloneFlags&flag != 0 }
}

// vma is the need for a kind of mapping.
func vma(is func(*format.Vma) bool) func(*format.Skeleton) bool {
	return func(s *format.Skeleton) bool {
		return slices.ContainsFunc(s.Mms, func(m *format.Mm) bool { return slices.ContainsFunc(m.Vmas, is) })
	}
}

// open is the need for a kind of open file.
func open(is func(*format.OpenFile) bool) func(*format.Skeleton) bool {
	return func(s *format.Skeleton) bool { return slices.ContainsFunc(s.OpenFiles, is) }
}

// mapped tries something with a page of ours.
func mapped(flags int, try func([]byte) error) bool {
	if flags == 0 {
		flags = unix.MAP_PRIVATE
	}
	p, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, flags|unix.MAP_ANONYMOUS)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Munmap(p) }()
	return try(p) == nil
}

// socket tries something with a socket of ours.
func socket(protocol int, try func(fd int) error) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return try(fd) == nil
}
