// Package vectors is for whoever reads statefiles: small ones, each with the
// short program that made it and a file that says what a reader has to make of
// it. README.md explains them.
package vectors

import (
	"encoding/binary"

	"lxc-checkpoint/image/format"
)

// Page is the page size of the samples, in bytes.
const Page = 4096

// Ids of the objects in Smallest.
const (
	MmID = 1 + iota
	FilesID
	FsID
	SighandID
)

// Ids of more objects in Everything.
const (
	ChildMmID   = 200
	InheritedID = 201
)

func runs(start, end uint64) []byte {
	r := format.NewRuns(Page)
	r.Add(start, end-start)
	return r.Bytes()
}

// Smallest returns the skeleton of one process, pid 1, with nothing but a
// mapping of 16 pages at 0x10000.
func Smallest() *format.Skeleton {
	return &format.Skeleton{
		Header: &format.Header{
			Architecture: "amd64", KernelRelease: "6.1.0-9-amd64", PageSize: Page,
			ToolVersion: "vectors", TimeNs: 1_700_000_000_000_000_000,
		},
		Container: &format.Container{Name: "c1", Lxcpath: "/var/lib/lxc", RootPid: 1},
		Mms: []*format.Mm{{
			Id:  MmID,
			Exe: &format.FileIdentity{Path: "/sbin/init", Inode: 7, Size: 123456, Mode: 0o100755},
			Vmas: []*format.Vma{
				{Start: 0x10000, End: 0x20000, Prot: 3, Kind: format.VmaKind_VMA_ANONYMOUS},
			},
		}},
		Files:     []*format.Files{{Id: FilesID}},
		Fs:        []*format.Fs{{Id: FsID, Root: "/", Cwd: "/", Umask: 0o22}},
		Sighands:  []*format.Sighand{{Id: SighandID}},
		Processes: []*format.Process{Process(1, 0, "init", 1)},
		Layout:    &format.Layout{Contents: []*format.Content{{Owner: MmID, Estimate: 16 * Page}}},
	}
}

// Process returns a process with the objects of Smallest and a number of
// threads, which have the ids that follow its pid.
func Process(pid, parent uint32, name string, threads int) *format.Process {
	p := &format.Process{
		Pid: pid, Parent: parent, Group: pid, Session: 1, State: format.ProcessState_RUNNING,
		ExitSignal: 17, Mm: MmID, Sighand: SighandID, CommandLine: "/bin/" + name,
	}
	for i := range threads {
		p.Tasks = append(p.Tasks, &format.Task{
			Tid: pid + uint32(i), Name: name, Files: FilesID, Fs: FsID,
			Registers: []*format.RegisterSet{
				{NoteType: 1, Data: make([]byte, format.GeneralRegisters("amd64"))},
			},
			Credentials: &format.Credentials{},
		})
	}
	return p
}

// bpfAllow loads the address of a map, which it does not use, and returns 1.
var bpfAllow = []byte{
	0x18, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0,
}

// allow is BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW).
var allow = []byte{6, 0, 0, 0, 0, 0, 0xff, 0x7f}

// network has a thing of each kind: 10.1.0.2/24, a route by way of it, a rule for
// table main, and a neighbour.
var network = &format.Network{
	Addresses:   [][]byte{{2, 24, 0, 0, 2, 0, 0, 0, 8, 0, 1, 0, 10, 1, 0, 2, 8, 0, 2, 0, 10, 1, 0, 2}},
	Nexthops:    [][]byte{{2, 0, 4, 0, 0, 0, 0, 0, 8, 0, 1, 0, 5, 0, 0, 0}},
	Routes:      [][]byte{{2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0, 8, 0, 5, 0, 10, 1, 0, 1}},
	Rules:       [][]byte{{2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0, 8, 0, 6, 0, 0xfe, 0x7f, 0, 0}},
	Neighbours:  [][]byte{{2, 0, 0, 0, 2, 0, 0, 0, 128, 0, 0, 1, 8, 0, 1, 0, 10, 1, 0, 1}},
	Sysctls:     []*format.Sysctl{{Name: "ipv4/ip_forward", Value: "1"}},
	Connections: [][]byte{{2, 0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 14}},
	Labels:      [][]byte{{10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 2, 0, 7, 0, 0, 0}},
	Groups:      [][]byte{append([]byte{7, 0, 0, 0, 8, 0, 0, 0, 32, 0, 1, 0, 7, 0, 0, 0, 1, 0, 0, 0, 239, 1, 2, 3}, append(make([]byte, 12), 8, 0, 0, 0)...)},
	Policies:    [][]byte{make([]byte, 168)},
	Ipsets:      [][]byte{{2, 0, 0, 0, 5, 0, 1, 0, 7, 0, 0, 0, 6, 0, 2, 0, 's', 0, 0, 0}},
	Tables: []*format.IptablesTable{{
		Kind: "ip", Name: "raw", Hooks: 1, HookEntries: make([]uint32, 5), Underflows: make([]uint32, 5), Rules: 1, Entries: ipEntry(),
	}},
	Nftables: []*format.Nftables{{Type: 0, Body: []byte{1, 0, 0, 0, 6, 0, 1, 0, 't', 0, 0, 0}, Handle: 3}},
}

// ipEntry is a struct ipt_entry without a target.
func ipEntry() []byte {
	const size, next = 112, 90
	e := make([]byte, size)
	e[next] = size
	return e
}

// Everything returns a skeleton that has an object of most kinds.
func Everything() *format.Skeleton {
	s := Smallest()
	file := func(path string, inode uint64) *format.FileIdentity {
		return &format.FileIdentity{Path: path, Device: 8<<32 | 1, Inode: inode, Size: 8192, Mode: 0o100644}
	}
	s.Namespaces = []*format.Namespace{
		{Id: 10, Kind: format.NamespaceKind_UTS, Inode: 4026532000, Own: true, Uts: &format.Uts{Nodename: "c1", Domainname: "(none)"}},
		{Id: 11, Kind: format.NamespaceKind_NET, Inode: 4026531840, Own: true, Network: network, Links: []*format.Link{
			{Name: "lo", Up: true, Index: 1, Flags: 1},
			{Name: "eth0", Index: 2, Kind: "veth", Lower: 40, Outside: true, Running: true, Attributes: []byte{8, 0, 4, 0, 0xdc, 5, 0, 0}, OtherNames: []string{"wan"}, Token: make([]byte, 16), Multicast: [][]byte{{1, 0, 0x5e, 1, 2, 3}}},
			{Name: "port", Index: 7, Kind: "veth", Lower: 5, LowerNamespace: 19, Master: 8, SlaveKind: "bridge", SlaveData: []byte{5, 0, 4, 0, 1, 0, 0, 0}, HasVlans: true, Vlans: []uint32{6<<16 | 1, 7}},
			{Name: "br0", Index: 8, Kind: "bridge", Data: []byte{8, 0, 1, 0, 0xdc, 5, 0, 0}},
			{Name: "wg0", Index: 9, Kind: "wireguard", Wireguard: [][]byte{{6, 0, 6, 0, 1, 2, 0, 0}}},
		}},
		{Id: 19, Kind: format.NamespaceKind_NET, Inode: 4026531841, Own: true, Network: &format.Network{}, Links: []*format.Link{
			{Name: "eth0", Index: 5, Kind: "veth", Lower: 7, LowerNamespace: 11},
		}},
		{Id: 16, Kind: format.NamespaceKind_MNT, Inode: 4026532001, Own: true, Mounts: []*format.Mount{
			{MountId: 50, ParentId: 1, Device: 8<<32 | 1, Root: "/rootfs", Mountpoint: "/", Options: "rw,relatime", Fstype: "ext4", Source: "/dev/sda1", SuperOptions: "rw", FileSystem: 13},
			{MountId: 51, ParentId: 50, Device: 60, Root: "/", Mountpoint: "/run", Options: "rw,nosuid", Propagation: "shared:3", Fstype: "tmpfs", Source: "tmpfs", SuperOptions: "rw,size=4096k", FileSystem: 14},
			{MountId: 52, ParentId: 51, Device: 4, Root: "net:[4026531841]", Mountpoint: "/run/netns/blue", Options: "rw", Fstype: "nsfs", Source: "nsfs", SuperOptions: "rw", FileSystem: 296, Namespace: 19, Uids: []*format.IdRange{{Inside: 0, Outside: 5, Count: 1}}, Gids: []*format.IdRange{{Inside: 0, Outside: 6, Count: 1}}},
		}},
		{Id: 12, Kind: format.NamespaceKind_IPC, Inode: 4026532001, Own: true, Ipc: &format.Ipc{
			Semaphores: []*format.SysvSemaphores{{Permissions: &format.SysvPermissions{Id: 1, Key: 2, Mode: 0o600}, Values: []uint32{1, 0}}},
			Queues:     []*format.SysvQueue{{Permissions: &format.SysvPermissions{Id: 1, Key: 2, Mode: 0o600}, Capacity: 16384, Messages: []*format.SysvMessage{{Type: 3, Data: []byte("m")}}}},
			Sysctls:    []*format.Sysctl{{Name: "fs/mqueue/msg_max", Value: "10"}},
		}},
	}
	s.Namespaces = append(s.Namespaces,
		&format.Namespace{Id: 210, Kind: format.NamespaceKind_USER, Inode: 4026532210, Own: true, User: &format.UserNamespace{
			Uids: []*format.IdRange{{Inside: 0, Outside: 1000, Count: 10}, {Inside: 33, Outside: 33, Count: 1}}, Gids: []*format.IdRange{{Inside: 0, Outside: 1000, Count: 10}}, Owner: 1000,
		}},
		&format.Namespace{Id: 211, Kind: format.NamespaceKind_USER, Inode: 4026532211, Own: true, Owner: 210, User: &format.UserNamespace{
			Uids: []*format.IdRange{{Inside: 5, Outside: 1002, Count: 2}}, Owner: 1000, GroupsDenied: true,
		}},
		&format.Namespace{Id: 212, Kind: format.NamespaceKind_UTS, Inode: 4026532212, Own: true, Owner: 211, Uts: &format.Uts{Nodename: "inner"}})
	s.Namespaces = append(s.Namespaces,
		&format.Namespace{Id: 213, Kind: format.NamespaceKind_PID, Inode: 4026532213, Own: true},
		&format.Namespace{Id: 214, Kind: format.NamespaceKind_PID, Inode: 4026532214, Own: true, Owner: 210, LastPid: 7},
		&format.Namespace{Id: 215, Kind: format.NamespaceKind_TIME, Inode: 4026532215, Own: true, Time: &format.TimeOffsets{MonotonicNs: 5, BoottimeNs: -5}},
		&format.Namespace{Id: 290, Kind: format.NamespaceKind_IPC, Inode: 4026532290, Own: true, Ipc: &format.Ipc{
			Semaphores: []*format.SysvSemaphores{{Permissions: &format.SysvPermissions{Id: 1, Key: 2, Mode: 0o600}, Values: []uint32{3}}},
		}})
	inode := &format.Inode{Mode: 0o100600, Uid: 1, Gid: 2, AtimeNs: 1, MtimeNs: 2, Xattrs: []*format.Xattr{{Name: "user.a", Value: []byte("b")}}}
	s.FileSystems = []*format.FileSystem{
		{Id: 13, Device: 8<<32 | 1, Fstype: "ext4", Source: "/dev/sda1", Options: "rw", Outside: true},
		{Id: 14, Device: 60, Fstype: "tmpfs", Source: "tmpfs", Options: "rw,size=4096k", Nodes: []*format.FileNode{
			{Path: "/", Mode: 0o040755},
			{Path: "/lock", Mode: 0o100600, Size: 5000, Content: 15, Flags: 0x20, Attributes: []*format.ExtendedAttribute{{Name: "user.note", Value: []byte("x")}}},
			{Path: "/other", LinkPlusOne: 2},
			{Path: "/to", Mode: 0o120777, Target: "lock"},
		}},
		{Id: 296, Device: 4, Fstype: "nsfs", Source: "nsfs", Options: "rw"},
		{Id: 295, Device: 61, Fstype: "overlay", Source: "overlay", Options: "rw,lowerdir=l/A:l/B,upperdir=C/diff,workdir=C/work", Overlay: &format.Overlay{MountNamespace: 16, Directory: "/var/lib/docker/overlay2"}},
	}
	s.CgroupTrees = []*format.CgroupTree{{Controllers: "", Cgroups: []*format.Cgroup{
		{Path: "/", Mode: 0o040755, Files: []*format.CgroupFile{
			{Name: "cgroup.procs", Mode: 0o100644, Uid: 1, Gid: 2}, {Name: "memory.max", Mode: 0o100644, Text: []byte("max"), IsSetting: true},
		}},
		{Path: "/system.slice", Mode: 0o040755, Uid: 1, Gid: 2, Xattrs: []*format.Xattr{{Name: "user.invocation_id", Value: []byte("a")}}},
	}}}
	s.SharedMemories = []*format.SharedMemory{
		{Id: 20, Size: 4 * Page},
		{Id: 21, Size: 2 * Page, Kind: &format.SharedMemory_Memfd{Memfd: &format.Memfd{Name: []byte("m"), Seals: 7, Inode: inode}}},
		{Id: 22, Size: 100, Kind: &format.SharedMemory_Deleted{Deleted: &format.DeletedFile{Path: "/tmp/gone", Inode: inode}}},
		{Id: 23, Size: 1 << 21, HugePageSize: 1 << 21, Kind: &format.SharedMemory_Sysv{Sysv: &format.SysvSegment{
			Permissions: &format.SysvPermissions{Id: 5, Key: -1, Mode: 0o600, Uid: 1, Gid: 2, CreatorUid: 3, CreatorGid: 4}, Removed: true}}},
		{Id: 291, Size: 100, Kind: &format.SharedMemory_Sysv{Sysv: &format.SysvSegment{Permissions: &format.SysvPermissions{Id: 5, Mode: 0o600}, Namespace: 290}}},
		{Id: 24, Kind: &format.SharedMemory_Deleted{Deleted: &format.DeletedFile{Path: "/tmp/dir", Inode: &format.Inode{Mode: 0o40700}}}},
	}
	s.Mms[0].Vmas = []*format.Vma{
		{Start: 0x10000, End: 0x20000, Prot: 3, Kind: format.VmaKind_VMA_ANONYMOUS, IsHeap: true},
		{Start: 0x20000, End: 0x22000, Prot: 1, Kind: format.VmaKind_VMA_FILE_PRIVATE, File: file("/lib/libc.so", 70), MayWrite: true},
		{Start: 0x22000, End: 0x26000, Prot: 3, Kind: format.VmaKind_VMA_SHARED_ANONYMOUS, SharedMemory: 20},
		{Start: 0x30000, End: 0x31000, Prot: 3, Kind: format.VmaKind_VMA_FILE_SHARED, File: file("/var/log/db", 71), MayWrite: true},
		{Start: 0x32000, End: 0x34000, Prot: 1, Kind: format.VmaKind_VMA_FILE_SHARED, File: file("/memfd:m", 73), SharedMemory: 21},
		{Start: 0x36000, End: 0x37000, Prot: 3, Kind: format.VmaKind_VMA_IO_URING, OpenFile: 250},
		{Start: 0x38000, End: 0x39000, Prot: 3, Kind: format.VmaKind_VMA_AIO, Aio: &format.AioContext{Id: 2, Ring: aioRing()}},
		{Start: 0x3a000, End: 0x3e000, Prot: 3, Kind: format.VmaKind_VMA_PACKET_RING, OpenFile: 691},
		{Start: 0x40000, End: 0x44000, Prot: 3, Kind: format.VmaKind_VMA_ANONYMOUS, IsStack: true, GrowsDown: true},
		{Start: 0x50000, End: 0x52000, Prot: 5, Kind: format.VmaKind_VMA_VDSO},
		{Start: 0xffffffffff600000, End: 0xffffffffff601000, Prot: 4, Kind: format.VmaKind_VMA_VSYSCALL},
	}
	// Process 9 has a copy of the heap, and has changed a page since.
	s.Inherited = []*format.Inherited{{Id: InheritedID, Runs: runs(0x11000, 0x13000)}}
	s.Mms[0].Inherits = []*format.Inheritance{{Inherited: InheritedID, Runs: runs(0x11000, 0x13000)}}
	s.Mms = append(s.Mms, &format.Mm{
		Id: ChildMmID, DescriptorTable: []byte{0xff, 0, 0, 0x10, 0, 0xf2, 0x40, 0}, Exe: s.Mms[0].Exe, Vmas: s.Mms[0].Vmas[:1:1],
		Inherits: []*format.Inheritance{{Inherited: InheritedID, Runs: runs(0x11000, 0x12000)}},
	})
	s.Mms[0].ProtectionKeys, s.Mms[0].Vmas[0].ProtectionKey = 6, 2
	s.Mms[0].Guards = []*format.Extent{{Start: 0x18000, Length: Page}}
	s.Files[0].Descriptors = []*format.Descriptor{
		{Number: 0, OpenFile: 30}, {Number: 1, OpenFile: 31}, {Number: 2, OpenFile: 31},
		{Number: 3, OpenFile: 32, CloseOnExec: true}, {Number: 4, OpenFile: 33}, {Number: 5, OpenFile: 34},
		{Number: 6, OpenFile: 35}, {Number: 7, OpenFile: 36}, {Number: 9, OpenFile: 37},
		{Number: 10, OpenFile: 38}, {Number: 11, OpenFile: 150}, {Number: 12, OpenFile: 151},
		{Number: 20, OpenFile: 60}, {Number: 21, OpenFile: 61}, {Number: 22, OpenFile: 63}, {Number: 23, OpenFile: 64}, {Number: 24, OpenFile: 65},
		{Number: 25, OpenFile: 66}, {Number: 26, OpenFile: 67}, {Number: 27, OpenFile: 68},
		{Number: 30, OpenFile: 160}, {Number: 31, OpenFile: 161}, {Number: 32, OpenFile: 162}, {Number: 33, OpenFile: 163}, {Number: 34, OpenFile: 164}, {Number: 35, OpenFile: 230},
		{Number: 40, OpenFile: 250}, {Number: 41, OpenFile: 281}, {Number: 42, OpenFile: 282},
	}
	s.Files[0].Locks = []*format.FileLock{{Kind: format.LockKind_LOCK_RECORD, Exclusive: true, Start: 10, Length: 5, Pid: 5, Number: 3}}
	s.OpenFiles = []*format.OpenFile{
		{Id: 30, Flags: 2, Kind: &format.OpenFile_Device{Device: &format.FileIdentity{Path: "/dev/null", Rdev: 1<<32 | 3, Mode: 0o20666}}},
		{Id: 31, Flags: 2, Kind: &format.OpenFile_Terminal{Terminal: &format.Terminal{Path: "/dev/console"}}},
		{Id: 32, Flags: 0o100000, Position: 100, Kind: &format.OpenFile_Regular{Regular: file("/etc/passwd", 72)}, Locks: []*format.FileLock{{Kind: format.LockKind_LOCK_FLOCK, Pid: 5}},
			Pressure: &format.PressureTrigger{Full: true, ThresholdUs: 200_000, WindowUs: 2_000_000}},
		{Id: 33, Flags: 0, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 40}}},
		{Id: 34, Flags: 1, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 40}}},
		{Id: 35, Flags: 2, Kind: &format.OpenFile_Eventfd{Eventfd: &format.Eventfd{Count: 3}}},
		{Id: 36, Flags: 2, Kind: &format.OpenFile_Epoll{Epoll: &format.Epoll{Targets: []*format.EpollTarget{
			{Number: 6, OpenFile: 35, Events: 1, Data: 6, Files: FilesID},
		}}}},
		{Id: 37, Flags: 2, Kind: &format.OpenFile_TcpListener{TcpListener: &format.TcpListener{
			Family: 2, Address: []byte{127, 0, 0, 1}, Port: 6379, Backlog: 128,
			Waiting: []*format.TcpWaiting{{
				State: 1, Address: &format.InetAddress{Address: []byte{127, 0, 0, 1}, Port: 6379}, Peer: &format.InetAddress{Address: []byte{127, 0, 0, 1}, Port: 40000},
				SendSequence: 100, ReceiveSequence: 200, ReceiveQueue: []byte("hello"), Window: 65536, MaximumSegment: 1400, WindowScaling: true, SendScale: 7, ReceiveScale: 7,
				SelectiveAcknowledgement: true,
			}},
		}}},
	}
	s.OpenFiles = append(s.OpenFiles, &format.OpenFile{Id: 38, Flags: 2, Kind: &format.OpenFile_Memory{Memory: &format.MemoryFile{SharedMemory: 22}}})
	s.OpenFiles = append(s.OpenFiles, &format.OpenFile{Id: 150, Flags: 2, Kind: &format.OpenFile_BpfMap{BpfMap: &format.BpfFile{Object: 152}}},
		&format.OpenFile{Id: 151, Flags: 2, Kind: &format.OpenFile_BpfProgram{BpfProgram: &format.BpfFile{Object: 153}}})
	s.BpfMaps = []*format.BpfMap{{Id: 152, Type: 11, KeySize: 8, ValueSize: 8, MaxEntries: 1, Flags: 1, Name: "addresses", Keys: []byte{8, 0, 0, 0, 10, 0, 0, 0}, Values: []byte{1, 0, 0, 0, 0, 0, 0, 0}}}
	s.BpfPrograms = []*format.BpfProgram{{
		Id: 153, Type: 8, AttachType: 1, Name: "sd_fw_egress", Gpl: true, Instructions: bpfAllow,
		Maps: []*format.BpfReference{{Instruction: 0, Map: 152}}, Tag: []byte{0xd9, 0x6a, 0x4e, 0x1f, 0x53, 0xb8, 0x0c, 0x27},
	}}
	s.BpfAttachments = []*format.BpfAttachment{{Cgroup: "/system.slice/server.service", Type: 1, Flags: 2, Programs: []uint32{153}}}
	s.Fs[0].CwdMemory = 24
	s.OpenFiles = append(s.OpenFiles, unixSockets()...)
	s.OpenFiles = append(s.OpenFiles,
		&format.OpenFile{Id: 160, Flags: 2, Kind: &format.OpenFile_Timerfd{Timerfd: &format.Timerfd{Clock: 1, ValueNs: 5e9, IntervalNs: 1e9, Ticks: 2}}},
		&format.OpenFile{Id: 161, Flags: 2, Kind: &format.OpenFile_Signalfd{Signalfd: &format.Signalfd{Mask: 0x4002}}},
		&format.OpenFile{Id: 162, Kind: &format.OpenFile_Inotify{Inotify: &format.Inotify{CgroupsChanged: true, Watches: []*format.InotifyWatch{{Wd: 1, Mask: 0x100, File: file("/etc", 73)}}}}},
		&format.OpenFile{Id: 282, Flags: 2, Kind: &format.OpenFile_Fanotify{Fanotify: &format.Fanotify{Flags: 0xc10, EventFlags: 0o100000, Marks: []*format.FanotifyMark{
			{Mask: 0x300, File: file("/etc", 73)}, {Kind: 0x10, Flags: 0x40, Mask: 8, Ignored: 2, Mountpoint: "/run"},
		}}}},
		&format.OpenFile{Id: 230, Flags: 1, Kind: &format.OpenFile_External{External: &format.External{Name: "pipe:[4711]"}}},
		&format.OpenFile{Id: 163, Flags: 2, Kind: &format.OpenFile_Pidfd{Pidfd: &format.Pidfd{Pid: 5}}},
		&format.OpenFile{Id: 164, Flags: 2, Kind: &format.OpenFile_PtyMaster{PtyMaster: &format.PtyMaster{
			Path: "/dev/ptmx", Directory: "/dev/pts", Index: 3, Output: []byte("$ "), Mode: 0o620, Gid: 5,
		}}})
	s.OpenFiles = append(s.OpenFiles, &format.OpenFile{Id: 250, Flags: 2, Kind: &format.OpenFile_IoUring{IoUring: ioUring()}})
	s.OpenFiles = append(s.OpenFiles, &format.OpenFile{Id: 281, Flags: 2, Kind: &format.OpenFile_MessageQueue{MessageQueue: &format.MessageQueueFile{Queue: 280, Path: "/dev/mqueue/queue"}}})
	s.MessageQueues = []*format.MessageQueue{{
		Id: 280, Name: []byte("queue"), Mode: 0o600, Uid: 1, Gid: 2, MostMessages: 3, MessageSize: 100,
		Messages:     []*format.QueuedMessage{{Priority: 3, Data: []byte("first")}, {Priority: 0, Data: nil}},
		Notification: &format.QueueNotification{Pid: 5, Signal: 10, Value: 7},
	}, {Id: 292, Name: []byte("queue"), Mode: 0o600, MostMessages: 1, MessageSize: 1, Namespace: 290}}
	s.Pipes = []*format.Pipe{{Id: 40, Capacity: 65536, Data: []byte("unread")}}
	s.SeccompFilters = []*format.SeccompFilter{
		{Id: 41, Instructions: allow},
		{Id: 42, Previous: 41, Instructions: append(allow[:8:8], allow...), Log: true},
	}
	s.Processes = []*format.Process{
		Process(1, 0, "init", 1), Process(5, 1, "server", 3), Process(9, 5, "child", 1),
		{Pid: 12, Parent: 5, State: format.ProcessState_ZOMBIE, WaitStatus: 256, ExitSignal: 17, Tasks: []*format.Task{{Tid: 12, Name: "gone"}}},
	}
	s.Processes[0].Namespaces, s.Processes[1].Namespaces = []uint32{10, 11, 12, 16, 213}, []uint32{10, 11, 12, 16, 213}
	// Process 9 is the first in a pid namespace, and was born into a group outside.
	nested := s.Processes[2]
	nested.Namespaces, nested.InnerGroup, nested.InnerSession = []uint32{10, 11, 12, 16, 214}, []uint32{1}, []uint32{0}
	nested.Tasks[0].InnerTids, nested.Tasks[0].ChildNamespaces = []uint32{1}, []uint32{215}
	nested.Tasks[0].DebugRegisters = &format.DebugRegisters{Words: []uint64{0x1000, 0, 0, 0, 0xffff0ff0, 0xd0101}}
	leader := s.Processes[1].Tasks[0]
	leader.Ended, leader.WaitStatus, leader.Registers = true, 3<<8, nil
	waits := s.Processes[1].Tasks[1]
	waits.SystemCallPlusOne, waits.RestartCode = 202+1, 514
	waits.Rest = &format.Rest{Kind: format.RestKind_REST_FUTEX, RemainingNs: 1_500_000_000}
	forgets := nested.Tasks[0]
	forgets.SystemCallPlusOne, forgets.RestartCode = 441+1, 514 // epoll_pwait2
	forgets.Rest = &format.Rest{Kind: format.RestKind_REST_ARGUMENT, RemainingNs: 2_500_000_000, Place: 0x7ffd_1234_5600}
	s.Processes[1].PosixTimers = []*format.PosixTimer{
		{Id: 0, Clock: 1, Signal: 34, Value: 7, Armed: true, RemainingNs: 2_000_000_000, IntervalNs: 3_000_000_000, Overrun: 2},
		{Id: 4, Clock: -6, Signal: 34, Thread: 6, Armed: true, RemainingNs: -1_000_000, Fired: true},
		{Id: 5, Clock: 0, Signal: 34, Armed: true, RemainingNs: 4_000_000_000, Absolute: true},
	}
	s.SessionKeyrings = []*format.SessionKeyring{{Id: 45, Name: "_ses", Permissions: 0x3f030000, Users: []uint32{0}, Keys: []*format.Key{
		{Name: "invocation_id", Payload: []byte("0123456789abcdef"), Permissions: 0x0b0b0000},
	}}}
	s.Processes[1].Tasks[0].SessionKeyring = 45
	filtered := s.Processes[1].Tasks[2]
	filtered.SeccompMode, filtered.SeccompFilters, filtered.SeccompFilter = 2, 2, 42
	s.Processes[2].Mm = ChildMmID
	s.Processes[2].State, s.Processes[2].StopSignal = format.ProcessState_STOPPED, 19
	s.Processes[1].Undo = []*format.SemaphoreUndo{{Set: 1, Adjustments: []int32{-1, 2}}}
	s.Layout.Contents = []*format.Content{
		{Owner: InheritedID, Estimate: 2 * Page}, {Owner: MmID, Estimate: 16 * Page},
		{Owner: ChildMmID, Estimate: Page}, {Owner: 20, Estimate: 4 * Page}, {Owner: 692, Estimate: 4 * Page},
	}
	return s
}

// aioRing is one of 127 places, in which one event waits.
func aioRing() []byte {
	b := make([]byte, Page)
	for i, word := range []uint32{2, 127, 5, 6, 0xa10a10a1, 1, 0, 32} {
		binary.LittleEndian.PutUint32(b[4*i:], word)
	}
	return b
}

// ioUring is a ring with a read of the pipe and a timeout under way, and something
// of all that can be registered.
func ioUring() *format.IoUring {
	read, timeout := make([]byte, 64), make([]byte, 64)
	read[0], timeout[0] = 22, 11
	return &format.IoUring{
		SqEntries: 4, CqEntries: 8, SqHead: 10, CqTail: 9, CqesOffset: 64, ArrayOffset: 192, Ring: make([]byte, Page), Sqes: make([]byte, Page), Task: 5, Clock: 1,
		Requests:    []*format.IoUringRequest{{Sqe: read, Task: 5, OpenFile: 33}, {Sqe: timeout, Task: 5, TimeNs: 1e9}},
		Buffers:     []*format.IoUringBuffer{{}, {Start: 0x10000, Length: 100, Tag: 1}},
		Files:       []*format.IoUringFile{{}, {OpenFile: 35, Tag: 2}},
		Event:       &format.IoUringEvent{OpenFile: 35},
		BufferRings: []*format.IoUringBufferRing{{Group: 1, Entries: 2, Head: 3, Flags: 1, Ring: make([]byte, 32)}},
		Users:       []*format.IoUringUser{{Task: 5, Index: 3}},
	}
}

// unixSockets are a pair with unread bytes and a descriptor in flight, a
// listener with a connection that waits, and a datagram of a sender that is gone.
func unixSockets() []*format.OpenFile {
	socket := func(id uint32, u *format.UnixSocket) *format.OpenFile {
		return &format.OpenFile{Id: id, Flags: 2, Kind: &format.OpenFile_UnixSocket{UnixSocket: u}}
	}
	const stream, datagram = 1, 2
	return []*format.OpenFile{
		socket(60, &format.UnixSocket{Type: stream, Peer: 61, PeerCredentials: &format.PeerCredentials{Pid: 5, Groups: []uint32{10}}, Queue: []*format.UnixMessage{
			{Data: []byte("unread"), Credentials: &format.PeerCredentials{Pid: 9, Uid: 1000, Gid: 1000}, Rights: []uint32{62}},
		}}),
		socket(61, &format.UnixSocket{Type: stream, Peer: 60, Shutdown: 1, PeerCredentials: &format.PeerCredentials{Pid: 5}}),
		{Id: 62, Flags: 2, Kind: &format.OpenFile_Eventfd{Eventfd: &format.Eventfd{Count: 1}}},
		socket(63, &format.UnixSocket{Type: stream, Address: []byte("\x00name"), Listening: true, Backlog: 5, Waiting: []uint32{64, 0},
			Arrivals: []*format.UnixArrival{{Credentials: &format.PeerCredentials{Pid: 5}}, {Address: []byte("\x00client"), Queue: []*format.UnixMessage{{Data: []byte("last words"), Rights: []uint32{62}}}}}}),
		socket(64, &format.UnixSocket{Type: stream, Peer: 63}),
		socket(65, &format.UnixSocket{Type: datagram, Address: []byte("/run/log"), Path: "/run/log", Mode: 0o666, QueueLimit: 512, Queue: []*format.UnixMessage{
			{Data: []byte("dying"), SenderAddress: []byte("/run/gone")},
		}}),
		{Id: 690, Flags: 2, Kind: &format.OpenFile_PacketSocket{PacketSocket: &format.PacketSocket{Type: 3, Protocol: 0x800, Interface: 2, Name: "eth0",
			Memberships: []*format.PacketMembership{{Interface: 2, Name: "eth0", Type: 1, Count: 1}}, Fanout: 7}}},
		{Id: 691, Flags: 2, Kind: &format.OpenFile_PacketSocket{PacketSocket: &format.PacketSocket{Type: 3, Protocol: 3, RingContent: 692,
			Options: []*format.SocketOption{{Level: 263, Name: 10, Value: []byte{2, 0, 0, 0}}}, // TPACKET_V3
			Receive: &format.PacketRing{BlockSize: Page, Blocks: 3, FrameSize: 2048, Frames: 6, RetireMs: 8, PrivateSize: 16, Features: 1, Head: 1, Free: 2, Sequence: 5, Packets: 2, Length: 300},
			Send:    &format.PacketRing{BlockSize: Page, Blocks: 1, FrameSize: 1024, Frames: 4, Head: 3},
		}}},
		{Id: 66, Flags: 2, Kind: &format.OpenFile_NetlinkSocket{NetlinkSocket: &format.NetlinkSocket{Type: 3, Port: 5, Groups: []uint32{1, 33}, Acknowledged: make([]byte, 16)}}},
		{Id: 67, Flags: 2, Kind: &format.OpenFile_InetSocket{InetSocket: &format.InetSocket{
			Family: 2, Type: datagram, Protocol: 17, Address: &format.InetAddress{Address: []byte{127, 0, 0, 1}, Port: 53},
			Queue:       []*format.InetDatagram{{Data: []byte("query"), Sender: &format.InetAddress{Address: []byte{10, 0, 0, 1}, Port: 1000}}},
			Memberships: []*format.Membership{{Group: []byte{224, 0, 0, 251}, Interface: "eth0"}},
		}}},
		{Id: 68, Flags: 2, Kind: &format.OpenFile_TcpConnection{TcpConnection: &format.TcpConnection{
			Family: 2, State: 1, Address: &format.InetAddress{Address: []byte{10, 0, 0, 2}, Port: 80}, Peer: &format.InetAddress{Address: []byte{10, 0, 0, 1}, Port: 5000},
			SendSequence: 1000, ReceiveSequence: 2000, SendQueue: []byte("answer"), Unsent: 2, ReceiveQueue: []byte("next"), MaximumSegment: 1460,
			WindowScaling: true, SendScale: 7, ReceiveScale: 7, Timestamps: true, Timestamp: 5, Window: &format.TcpWindow{Send: 65535, Maximum: 65535, Receive: 65535},
		}}},
	}
}
