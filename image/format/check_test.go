package format_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/image/vectors"
)

func TestCheckAccepts(t *testing.T) {
	for name, s := range map[string]*format.Skeleton{"smallest": vectors.Smallest(), "everything": vectors.Everything()} {
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// link changes a network interface of the sample.
func link(name string, change func(l *format.Link)) func(s *format.Skeleton) {
	return func(s *format.Skeleton) {
		for _, n := range s.Namespaces {
			for _, l := range n.Links {
				if l.Name == name {
					change(l)
				}
			}
		}
	}
}

// packetRing changes the sample's packet socket with rings.
func packetRing(change func(p *format.PacketSocket)) func(s *format.Skeleton) {
	return func(s *format.Skeleton) {
		for _, o := range s.OpenFiles {
			if p := o.GetPacketSocket(); p.GetRingContent() != 0 {
				change(p)
			}
		}
	}
}

// ring changes the sample's io_uring.
func ring(change func(u *format.IoUring)) func(s *format.Skeleton) {
	return func(s *format.Skeleton) {
		for _, o := range s.OpenFiles {
			if u := o.GetIoUring(); u != nil {
				change(u)
			}
		}
	}
}

// TestCheckRefuses spoils one thing of a good skeleton at a time.
func TestCheckRefuses(t *testing.T) {
	for _, c := range []struct {
		spoil func(*format.Skeleton)
		want  string // what the message has
	}{
		{func(s *format.Skeleton) { s.Header = nil }, "header"},
		{func(s *format.Skeleton) { s.Layout = nil }, "layout"},
		{func(s *format.Skeleton) { s.Header.Architecture = "vax" }, "vax"},
		{func(s *format.Skeleton) { s.Header.PageSize = 5000 }, "5000"},
		{func(s *format.Skeleton) { s.Header.PageSize = 0 }, "page size"},
		{func(s *format.Skeleton) { s.Header.Vdso = make([]byte, vectors.Page) }, "vdso"},
		{func(s *format.Skeleton) { s.Header.XsaveComponents = []*format.XsaveComponent{{Number: 64}} }, "component 64"},
		{func(s *format.Skeleton) { s.Header.Vdso = make([]byte, 5) }, "vdso of 5 bytes"},
		{func(s *format.Skeleton) { s.Header.MonotonicNs = -1 }, "clock"},
		{func(s *format.Skeleton) { s.Header.BoottimeNs = 1 << 62 }, "clock"},
		{func(s *format.Skeleton) { s.Namespaces[0].Id = 0 }, "no id"},
		{func(s *format.Skeleton) { s.Namespaces[0].Id = 11 }, "id 11"},
		{func(s *format.Skeleton) { s.Files[0].Id = vectors.MmID }, "address space and of a descriptor table"},
		{func(s *format.Skeleton) { s.Namespaces[0].Kind = 77 }, "kind 77"},
		{func(s *format.Skeleton) { s.Namespaces[0].Uts.Nodename = strings.Repeat("x", 65) }, "host name"},
		{func(s *format.Skeleton) { s.Namespace(214).Parent = 214 }, "none before it"},
		{func(s *format.Skeleton) { s.Namespace(214).Parent = 210 }, "none before it"},
		{func(s *format.Skeleton) { s.Namespace(214).LastPid = 1 << 23 }, "given out"},
		{func(s *format.Skeleton) { s.Processes[2].InnerGroup = nil }, "its group and session are not"},
		{func(s *format.Skeleton) { s.Processes[2].InnerSession[0] = 1 << 23 }, "in a pid namespace"},
		{func(s *format.Skeleton) { s.Processes[2].Tasks[0].InnerTids = nil }, "0 numbers in 1"},
		{func(s *format.Skeleton) { s.Processes[2].Tasks[0].InnerTids[0] = 0 }, "is 0 in a pid namespace"},
		{func(s *format.Skeleton) { s.Processes[2].Tasks[0].ChildNamespaces[0] = 11 }, "no such kind"},
		{func(s *format.Skeleton) { s.FileSystems[1].PidNamespace = 215 }, "no pid namespace"},
		{func(s *format.Skeleton) { s.FileSystems[3].Overlay.MountNamespace = 11 }, "has no mounts"},
		{func(s *format.Skeleton) { s.FileSystems[3].Overlay.Directory = "var" }, "is no absolute path"},
		{func(s *format.Skeleton) { s.Namespace(16).Mounts[2].Namespace = 13 }, "refers to namespace 13"},
		{func(s *format.Skeleton) { s.Namespace(16).Mounts[2].Uids[0].Count = 0 }, "maps 0 ids"},
		{func(s *format.Skeleton) { s.Namespace(16).Mounts[2].Fstype = "tmpfs" }, "shows a namespace"},
		{func(s *format.Skeleton) { s.FileSystems[3].Fstype = "tmpfs" }, "no overlay"},
		{func(s *format.Skeleton) { s.FileSystems[3].Options = "rw,upperdir=C,workdir=D" }, "no overlay"},
		{func(s *format.Skeleton) { s.Namespace(210).Owner = 211 }, "no user namespace before it"},
		{func(s *format.Skeleton) { s.Namespace(211).Owner = 211 }, "no user namespace before it"},
		{func(s *format.Skeleton) { s.Namespace(212).Owner = 10 }, "no user namespace before it"},
		{func(s *format.Skeleton) { s.Namespace(210).User = nil }, "says nothing"},
		{func(s *format.Skeleton) { s.Namespace(212).User = s.Namespace(210).User }, "maps users"},
		{func(s *format.Skeleton) { s.Namespace(210).User.Uids[0].Count = 0 }, "maps 0 ids"},
		{func(s *format.Skeleton) { s.Namespace(210).User.Uids[0].Count = 1<<32 - 1 }, "maps 4294967295 ids"},
		{func(s *format.Skeleton) { s.Namespace(210).User.Uids[1].Inside = 9 }, "twice"},
		{func(s *format.Skeleton) { s.Namespace(210).User.Uids[1].Outside = 1009 }, "twice"},
		{func(s *format.Skeleton) { s.Namespace(210).User.Gids = make([]*format.IdRange, 341) }, "341 ranges"},
		{func(s *format.Skeleton) { s.Namespace(211).User.Uids[0].Outside = 1009 }, "has not"},
		{func(s *format.Skeleton) { s.Namespace(211).User.Gids = []*format.IdRange{{Outside: 33, Count: 1}} }, "has not"},

		{func(s *format.Skeleton) { s.Processes[1].Tasks[1].Rest.Kind = 5 }, "kind 5"},
		{func(s *format.Skeleton) {
			s.Processes[2].Tasks[0].SystemCallPlusOne, s.Processes[2].Tasks[0].RestartCode = 0, 0
		}, "nobody knows which"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[1].Rest.RemainingNs = 1 << 63 }, "ns left"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[1].Id = 0 }, "out of order"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[1].Id = 1 << 31 }, "out of order"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[0].Signal = 65 }, "signal"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[0].Notify = 3 }, "signal"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[1].Thread = 9 }, "none of its own"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[1].Owner = 1 }, "none of its own"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[0].RemainingNs = -1 }, "can't be"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[0].IntervalNs = 1 << 63 }, "can't be"},
		{func(s *format.Skeleton) { unixSocket(s, 60).Peer = 65 }, "60 is connected to open file 65"},
		{func(s *format.Skeleton) { unixSocket(s, 60).Peer = 30 }, "60 is connected to open file 30"},
		{func(s *format.Skeleton) { unixSocket(s, 60).Peer = 60 }, "60 is connected to open file 60"},
		{func(s *format.Skeleton) { unixSocket(s, 61).Peer = 0 }, "60 and 61"},
		{func(s *format.Skeleton) { unixSocket(s, 61).Accepted = true }, "61 and 60"},
		{func(s *format.Skeleton) { unixSocket(s, 65).Accepted = true }, "was accepted"},
		{func(s *format.Skeleton) { unixSocket(s, 60).Shutdown = 4 }, "state"},
		{func(s *format.Skeleton) { unixSocket(s, 60).Waiting = []uint32{61} }, "state"},
		{func(s *format.Skeleton) { unixSocket(s, 63).Waiting = []uint32{61, 0} }, "could wait"},
		{func(s *format.Skeleton) { unixSocket(s, 63).Address = nil }, "waits to be accepted"},
		{func(s *format.Skeleton) { unixSocket(s, 63).Arrivals = nil }, "closed connection"},
		{func(s *format.Skeleton) { unixSocket(s, 63).Waiting = []uint32{64} }, "has 1 connections"},
		{func(s *format.Skeleton) { unixSocket(s, 63).Arrivals[0].Address = []byte("x") }, "address of 1 bytes"},
		{func(s *format.Skeleton) { unixSocket(s, 63).Arrivals[1].Queue[0].Rights = []uint32{40} }, "open file 40"},
		{func(s *format.Skeleton) { unixSocket(s, 60).Queue[0].Rights = []uint32{40} }, "open file 40"},
		{func(s *format.Skeleton) { unixSocket(s, 60).Queue[0].Sender = 61 }, "no datagram socket"},
		{func(s *format.Skeleton) { unixSocket(s, 60).Queue[0].Data = nil }, "0 bytes"},
		{func(s *format.Skeleton) { unixSocket(s, 65).Queue[0].SenderAddress = make([]byte, 109) }, "109 bytes"},
		{func(s *format.Skeleton) { unixSocket(s, 60).PeerCredentials.Pid = 1 << 30 }, "process number"},
		{func(s *format.Skeleton) { unixSocket(s, 60).PeerAddress = make([]byte, 109) }, "109 bytes"},

		{func(s *format.Skeleton) { openFile(s, 68).GetTcpConnection().State = 0 }, "state 0"},
		{func(s *format.Skeleton) { openFile(s, 68).GetTcpConnection().Peer = nil }, "without an address"},
		{func(s *format.Skeleton) { openFile(s, 68).GetTcpConnection().Unsent = 7 }, "7 of 6 bytes unsent"},
		{func(s *format.Skeleton) { openFile(s, 68).GetTcpConnection().Address.Address = nil }, "0 bytes"},
		{func(s *format.Skeleton) { openFile(s, 66).GetNetlinkSocket().Groups[0] = 0 }, "group 0"},
		{func(s *format.Skeleton) { openFile(s, 66).GetNetlinkSocket().Protocol = 77 }, "protocol 77"},
		{func(s *format.Skeleton) { openFile(s, 66).GetNetlinkSocket().Acknowledged = []byte{1, 2, 3} }, "head of 3 bytes"},
		{func(s *format.Skeleton) { openFile(s, 67).GetInetSocket().Family = 77 }, "family 77"},
		{func(s *format.Skeleton) { openFile(s, 67).GetInetSocket().Address.Address = nil }, "0 bytes"},
		{func(s *format.Skeleton) { openFile(s, 67).GetInetSocket().Queue[0].Sender = nil }, "can't be"},
		{func(s *format.Skeleton) { openFile(s, 67).GetInetSocket().Memberships[0].Group = nil }, "multicast"},

		{func(s *format.Skeleton) { s.SharedMemories[0].Size = 0 }, "0 bytes"},
		{func(s *format.Skeleton) { s.Mms[0].Exe = nil }, "program"},
		{func(s *format.Skeleton) { s.Mms[0].Exe.Path = "relative" }, "absolute path"},
		{func(s *format.Skeleton) { s.Mms[0].Exe.Path = "/a\x00b" }, "absolute path"},
		{func(s *format.Skeleton) { s.Mms[0].Auxv = make([]byte, 15) }, "15 bytes"},
		{func(s *format.Skeleton) { s.Mms[0].Dumpable = 3 }, "DUMPABLE"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[1].Start = 0x1f000 }, "overlaps"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].Start = 0x10001 }, "overlaps"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].End = 0x10000 }, "overlaps"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[5].End = 1<<63 + 0x1000 }, "user space"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].Kind = 0 }, "kind 0"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].Kind = 99 }, "kind 99"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].Prot = 8 }, "protection"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].Name = "a\x00" }, "name"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].HugePageSize = 3 << 20 }, "huge pages"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].HugePageSize = 2 << 20 }, "huge pages"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[1].Offset = 5 }, "offset"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[1].Offset = 1 << 63 }, "offset"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[1].File = nil }, "file"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].File = s.Mms[0].Exe }, "file"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[2].SharedMemory = 0 }, "no shared memory"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[2].SharedMemory = vectors.MmID }, "shared memory 1"},
		{func(s *format.Skeleton) { s.Inherited[0].Runs = nil }, "no pages"},
		{func(s *format.Skeleton) { s.Inherited[0].Runs = []byte{17, 0} }, "no length"},
		{func(s *format.Skeleton) { s.Inherited[0].Runs = []byte{0x80} }, "no begin"},
		{func(s *format.Skeleton) { s.Inherited[0].Runs = []byte{17, 1, 0, 1} }, "part of the one before"},
		{func(s *format.Skeleton) {
			s.Inherited[0].Runs = []byte{17, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}
		}, "user space"},
		{func(s *format.Skeleton) { s.Mms[0].Inherits[0].Inherited = vectors.MmID }, "list of inherited pages 1"},
		{func(s *format.Skeleton) { s.Mms[0].Inherits[0].Runs = []byte{17, 3} }, "which that has not"},
		{func(s *format.Skeleton) { s.Mms[0].Inherits[0].Runs = []byte{16, 1} }, "which that has not"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].End = 0x12000 }, "no private mapping"},
		{func(s *format.Skeleton) { s.Mms[0].Inherits = append(s.Mms[0].Inherits, s.Mms[0].Inherits[0]) }, "a page twice"},
		{func(s *format.Skeleton) { s.Layout.Contents = s.Layout.Contents[1:] }, "in their place"},
		{func(s *format.Skeleton) { s.Mms[0].Guards[0].Length = ^uint64(0) - 4095 }, "guard"},

		{func(s *format.Skeleton) { s.Files[0].Descriptors[1].Number = 0 }, "out of order"},
		{func(s *format.Skeleton) { s.Files[0].Descriptors[8].Number = 1 << 31 }, "out of order"},
		{func(s *format.Skeleton) { s.Files[0].Descriptors[1].OpenFile = 999 }, "open file 999"},
		{func(s *format.Skeleton) { s.Files[0].Locks[0].Number = 8 }, "descriptor 8"},
		{func(s *format.Skeleton) { s.Files[0].Locks[0].Length = 1<<63 - 1 }, "it covers"},
		{func(s *format.Skeleton) { s.Files[0].Locks[0].Kind = format.LockKind_LOCK_FLOCK }, "it is none of a descriptor table"},
		{func(s *format.Skeleton) { s.OpenFiles[2].Locks[0].Kind = format.LockKind_LOCK_RECORD }, "it is one of a descriptor table"},
		{func(s *format.Skeleton) { s.OpenFiles[2].Locks[0].Kind = 5 }, "does not know"},
		{func(s *format.Skeleton) { s.Fs[0].Cwd = "" }, "directory"},
		{func(s *format.Skeleton) { s.Pipes[0].Capacity = 3 }, "capacity"},
		{func(s *format.Skeleton) { s.MessageQueues[0].Name = []byte("a/b") }, "has the name"},
		{func(s *format.Skeleton) {
			s.Namespace(12).Own, s.Namespace(12).Ipc, s.Processes[1].Undo = false, nil, nil
		}, "it lives in namespace 0, which is no IPC namespace"},
		{func(s *format.Skeleton) { s.Namespace(10).Ipc = s.Namespace(12).Ipc }, "namespace 10 has objects or settings"},
		{func(s *format.Skeleton) { s.MessageQueues[0].Namespace = 10 }, "it lives in namespace 10"},
		{func(s *format.Skeleton) { s.SharedMemory(23).GetSysv().Namespace = 11 }, "it lives in namespace 11"},
		{func(s *format.Skeleton) { s.MessageQueues[0].MostMessages = 1 }, "2 messages, may have 1"},
		{func(s *format.Skeleton) { s.MessageQueues[0].MessageSize = 4 }, "of 5 bytes with priority 3"},
		{func(s *format.Skeleton) { s.MessageQueues[0].Messages[1].Priority = 4 }, "with priority 4"},
		{func(s *format.Skeleton) { s.MessageQueues[0].Messages[0].Priority = 32768 }, "with priority 32768"},
		{func(s *format.Skeleton) { s.MessageQueues[0].Notification.Pid = 77 }, "tells task 77"},
		{func(s *format.Skeleton) { s.MessageQueues[0].Notification.Kind = 2 }, "kind 2"},
		{func(s *format.Skeleton) {
			s.MessageQueues = append(s.MessageQueues, &format.MessageQueue{Id: 299, Name: []byte("queue"), MostMessages: 1, MessageSize: 1})
		}, "two message queues"},
		{func(s *format.Skeleton) { s.OpenFile(282).GetFanotify().Flags = 4 }, "asked for permissions"},
		{func(s *format.Skeleton) { s.OpenFile(282).GetFanotify().Marks[0].Flags = 1 }, "flags 0x1"},
		{func(s *format.Skeleton) { s.OpenFile(282).GetFanotify().Marks[0].Mask = 0 }, "masks 0x0, 0x0"},
		{func(s *format.Skeleton) { s.OpenFile(282).GetFanotify().Marks[0].Kind = 1 }, "of kind 0x1"},
		{func(s *format.Skeleton) { s.OpenFile(282).GetFanotify().Marks[0].File = nil }, "without an absolute path"},
		{func(s *format.Skeleton) { s.OpenFile(282).GetFanotify().Marks[1].Mountpoint = "run" }, "a mark at"},
		{func(s *format.Skeleton) { s.OpenFile(281).GetMessageQueue().Queue = 40 }, "message queue 40"},
		{func(s *format.Skeleton) { s.OpenFile(281).GetMessageQueue().Path = "queue" }, "a path that can't be"},
		{func(s *format.Skeleton) { s.Namespace(12).Ipc.Sysctls[0].Name = "kernel/core_pattern" }, "core_pattern"},
		{func(s *format.Skeleton) { s.Namespace(12).Ipc.Sysctls[0].Value = "1\n" }, "has the setting"},
		{func(s *format.Skeleton) { s.Pipes[0].Packets = []uint32{7} }, "packets"},
		{func(s *format.Skeleton) { s.OpenFiles[0].Kind = nil }, "kind"},
		{func(s *format.Skeleton) { s.OpenFiles[0].Position = -1 }, "position"},
		{func(s *format.Skeleton) { s.OpenFiles[3].GetPipe().Pipe = 41 }, "pipe 41"},
		{func(s *format.Skeleton) { s.OpenFiles[6].GetEpoll().Targets[0].OpenFile = 41 }, "open file 41"},
		{func(s *format.Skeleton) { s.OpenFiles[6].GetEpoll().Targets[0].OpenFile = 36 }, "circle"},
		{func(s *format.Skeleton) { s.OpenFiles[6].GetEpoll().Targets[0].Files = 41 }, "descriptor table 41"},
		{func(s *format.Skeleton) { s.OpenFiles[7].GetTcpListener().Port = 70000 }, "70000"},
		{func(s *format.Skeleton) { s.OpenFiles[7].GetTcpListener().Address = nil }, "0 bytes"},
		{func(s *format.Skeleton) { s.OpenFiles[7].GetTcpListener().Waiting[0].Peer = nil }, "no address"},
		{func(s *format.Skeleton) { s.OpenFiles[7].GetTcpListener().Waiting[0].State = 5 }, "in state 5"},
		{func(s *format.Skeleton) { s.OpenFiles[7].GetTcpListener().Waiting[0].Peer.Address = nil }, "0 bytes"},

		{func(s *format.Skeleton) { s.Processes[0].Tasks = nil }, "no task"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[1].Tid = 1 }, "twice"},
		{func(s *format.Skeleton) { s.Processes[1].State = 0 }, "state 0"},
		{func(s *format.Skeleton) { s.Processes[1].Mm = 0 }, "no address space"},
		{func(s *format.Skeleton) { s.Processes[1].Sighand = vectors.MmID }, "signal table 1"},
		{func(s *format.Skeleton) { s.Processes[1].Namespaces = []uint32{1} }, "namespace 1"},
		{func(s *format.Skeleton) { s.Processes[1].Pending = [][]byte{{1}} }, "pending"},
		{func(s *format.Skeleton) { s.Processes[1].ExitSignal = 65 }, "signal"},
		{func(s *format.Skeleton) { s.Processes[1].Limits = []*format.Limit{{Resource: 16}} }, "limit 16"},
		{func(s *format.Skeleton) { s.Processes[1].Timers = []*format.IntervalTimer{{Which: 3}} }, "timer 3"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[0].Files = 0 }, "no descriptor table"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[0].Fs = 99 }, "fs 99"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[0].Credentials = nil }, "credentials"},
		{func(s *format.Skeleton) { s.Processes[0].Tasks[0].Registers = nil }, "registers"},
		{func(s *format.Skeleton) { s.Header.Architecture = "arm64" }, "on arm64"},
		{func(s *format.Skeleton) { s.Processes[0].AutogroupNice = 20 }, "session of process 1 is 20"},
		{func(s *format.Skeleton) { s.Processes[0].Tasks[0].McePolicy = 3 }, "broken memory"},
		{func(s *format.Skeleton) { s.Processes[0].Tasks[0].Credentials.LoginUidPlusOne = 1<<32 + 1 }, "login uid"},
		{func(s *format.Skeleton) {
			s.Processes[0].Tasks[0].Scheduling = &format.Scheduling{MemoryNodes: make([]byte, 129)}
		}, "nodes of memory"},
		{func(s *format.Skeleton) { s.SessionKeyrings[0].Name = ".dns_resolver" }, "a name or permissions"},
		{func(s *format.Skeleton) { s.SessionKeyrings[0].Permissions = 1 << 31 }, "a name or permissions"},
		{func(s *format.Skeleton) { s.SessionKeyrings[0].Keys[0].Name = "a\x00b" }, "holds a key"},
		{func(s *format.Skeleton) { s.SessionKeyrings[0].Keys[0].Payload = make([]byte, 1<<15) }, "holds a key"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[0].SessionKeyring = 41 }, "session keyring 41"},
		{func(s *format.Skeleton) { s.Processes[1].PosixTimers[0].Absolute = true }, "time of the day"},
		{func(s *format.Skeleton) { s.Processes[0].Tasks[0].Ended = true }, "has ended"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[0].WaitStatus = 9 }, "wait status 0x9"},
		{func(s *format.Skeleton) { s.Processes[1].State = format.ProcessState_STOPPED }, "has ended"},
		{func(s *format.Skeleton) { s.BpfMaps[0].ValueSize = 0 }, "values of 0"},
		{func(s *format.Skeleton) { s.BpfMaps[0].Keys = s.BpfMaps[0].Keys[:7] }, "do not match"},
		{func(s *format.Skeleton) { s.BpfMaps[0].Type = 2 }, "keys of 8 bytes"},
		{func(s *format.Skeleton) { s.BpfMaps[0].Cpus = 1 << 20 }, "1048576 CPUs"},
		{func(s *format.Skeleton) { s.BpfPrograms[0].Instructions = make([]byte, 12) }, "12 bytes"},
		{func(s *format.Skeleton) { s.BpfPrograms[0].Tag = nil }, "a tag of 0"},
		{func(s *format.Skeleton) { s.BpfPrograms[0].Maps[0].Instruction = 4 }, "instruction 4, which loads none"},
		{func(s *format.Skeleton) { s.BpfPrograms[0].Maps[0].Map = 153 }, "refers to BPF map 153"},
		{func(s *format.Skeleton) { s.BpfAttachments[0].Flags = 4 }, "flags 0x4"},
		{func(s *format.Skeleton) { s.BpfAttachments[0].Cgroup = "x" }, "cgroup \"x\""},
		{func(s *format.Skeleton) { s.BpfAttachments[0].Programs[0] = 152 }, "refers to BPF program 152"},
		{func(s *format.Skeleton) { s.OpenFiles[9].Kind.(*format.OpenFile_BpfMap).BpfMap.Object = 153 }, "BPF map 153"},
		{link("port", func(l *format.Link) { l.HasVlans = false }), "2 VLANs"},
		{link("port", func(l *format.Link) { l.Vlans[1] = 4095 }), "VLAN 4095"},
		{link("port", func(l *format.Link) { l.Vlans[0] = 1<<16 | 1 }), "with flags 0x1"},
		{link("wg0", func(l *format.Link) { l.Wireguard[0][2] = 1 }), "keys and peers"},
		{link("wg0", func(l *format.Link) { l.Wireguard[0] = l.Wireguard[0][:3] }), "keys and peers"},
		{link("wg0", func(l *format.Link) { l.Wireguard[0] = make([]byte, 1<<17) }), "131072 bytes"},
		{packetRing(func(p *format.PacketSocket) { p.RingContent = 0 }), "without bytes"},
		{packetRing(func(p *format.PacketSocket) { p.RingContent = 20 }), "is that of a"},
		{packetRing(func(p *format.PacketSocket) { p.Receive, p.Send = nil, nil }), "which have 0"},
		{packetRing(func(p *format.PacketSocket) { p.Options[0].Value[0] = 3 }), "version 3"},
		{packetRing(func(p *format.PacketSocket) { p.Send.BlockSize, p.Send.Blocks, p.Receive.Blocks = 2048, 2, 3 }), "2 blocks of 2048 bytes"},
		{packetRing(func(p *format.PacketSocket) { p.Receive.Blocks, p.Receive.Frames = 1<<30, 1<<31 }), "which have 4398046515200"},
		{packetRing(func(p *format.PacketSocket) { p.Receive.FrameSize = 8192 }), "frames of 8192 bytes"},
		{packetRing(func(p *format.PacketSocket) { p.Send.FrameSize = 0 }), "frames of 0 bytes"},
		{packetRing(func(p *format.PacketSocket) { p.Send.Frames = 5 }), "5 frames of 1024 bytes"},
		{packetRing(func(p *format.PacketSocket) { p.Send.Head = 4 }), "next is number 4"},
		{packetRing(func(p *format.PacketSocket) { p.Receive.Head = 3 }), "3 places whose next is number 3"},
		{packetRing(func(p *format.PacketSocket) { p.Receive.Free = 4 }), "4 are free"},
		{packetRing(func(p *format.PacketSocket) { p.Receive.Free = 0 }), "block 5 of a ring"},
		{packetRing(func(p *format.PacketSocket) { p.Receive.Sequence = 0 }), "block 0 of a ring"},
		{packetRing(func(p *format.PacketSocket) { p.Receive.Length = 5000 }), "in 5000 bytes"},
		{packetRing(func(p *format.PacketSocket) { p.Send = nil }), "of the rings of open file 691, which have 12288"},
		{ring(func(u *format.IoUring) { u.SqEntries = 3 }), "queues of 3 and 8"},
		{ring(func(u *format.IoUring) { u.CqEntries = 1 << 17 }), "131072 entries"},
		{ring(func(u *format.IoUring) { u.Flags = 1 << 1 }), "flags 0x2"},
		{ring(func(u *format.IoUring) { u.CqesOffset = 1 << 31 }), "completions at"},
		{ring(func(u *format.IoUring) { u.ArrayOffset = 1 << 31 }), "array at"},
		{ring(func(u *format.IoUring) { u.Ring = u.Ring[1:] }), "4095 and 4096 bytes"},
		{ring(func(u *format.IoUring) { u.Sqes = nil }), "4096 and 0 bytes"},
		{ring(func(u *format.IoUring) { u.CqTail = 1<<30 + 1 }), "counted to 10 and 1073741825"},
		{ring(func(u *format.IoUring) { u.SqHead = 1 }), "counted to 1 and 9"},
		{ring(func(u *format.IoUring) { u.Task = 99 }), "thread 99"},
		{ring(func(u *format.IoUring) { u.Requests[0].Task = 99 }), "thread 99"},
		{ring(func(u *format.IoUring) { u.Requests[0].OpenFile = 40 }), "open file 40"},
		{ring(func(u *format.IoUring) { u.Requests[0].Sqe[0] = 16 }), "can't be issued again"},
		{ring(func(u *format.IoUring) { u.Requests[0].Sqe = nil }), "can't be issued again"},
		{ring(func(u *format.IoUring) { u.Requests[1].TimeNs = -1 }), "can't be issued again"},
		{ring(func(u *format.IoUring) { u.Files[1].OpenFile = 40 }), "open file 40"},
		{ring(func(u *format.IoUring) { u.Event.OpenFile = 40 }), "open file 40"},
		{ring(func(u *format.IoUring) { u.Users[0].Index = 16 }), "number 16"},
		{ring(func(u *format.IoUring) { u.BufferRings[0].Entries = 3 }), "3 provided buffers"},
		{ring(func(u *format.IoUring) { u.BufferRings[0].Start = 4096 }), "2 provided buffers"},
		{ring(func(u *format.IoUring) { u.BufferRings[0].Ring = nil }), "2 provided buffers"},
		{func(s *format.Skeleton) {
			for _, v := range s.Mms[0].Vmas {
				if v.Kind == format.VmaKind_VMA_IO_URING {
					v.OpenFile = 30
				}
			}
		}, "open file 30, which is no io_uring"},
		{aio(func(v *format.Vma) { v.Aio = nil }), "VMA_AIO does not go with"},
		{aio(func(v *format.Vma) { v.Aio.Ring = v.Aio.Ring[:100] }), "another size"},
		{aio(func(v *format.Vma) { v.Aio.Id = 3 }), "an impossible number"},
		{aio(func(v *format.Vma) { v.Aio.Ring[4] = 126 }), "as the kernel has made it"},
		{aio(func(v *format.Vma) { v.Aio.Ring[8] = 127 }), "as the kernel has made it"},
		{aio(func(v *format.Vma) { v.Aio.Ring[12] = 200 }), "as the kernel has made it"},
		{func(s *format.Skeleton) { s.SeccompFilters[0].Instructions = make([]byte, 12) }, "12 bytes"},
		{func(s *format.Skeleton) { s.SeccompFilters[0].Previous = 42 }, "comes before the one that it follows"},
		{func(s *format.Skeleton) {
			for i := range uint32(8) {
				s.SeccompFilters = append(s.SeccompFilters, &format.SeccompFilter{Id: 50 + i, Previous: s.SeccompFilters[i+1].Id, Instructions: make([]byte, 8*4096)})
			}
		}, "no kernel takes"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[2].SeccompFilter = 40 }, "seccomp filter 40"},
		{func(s *format.Skeleton) { s.Processes[1].Tasks[2].SeccompMode = 1 }, "mode 1 of seccomp with filter 42"},
		{func(s *format.Skeleton) { s.Mms[0].ProtectionKeys = 1 << 16 }, "protection keys 0x10004"},
		{func(s *format.Skeleton) { s.Mms[0].Vmas[0].ProtectionKey = 16 }, "has protection key 16"},
		{func(s *format.Skeleton) { s.Mms[0].DescriptorTable = make([]byte, 7) }, "table of 7 bytes"},
		{func(s *format.Skeleton) { s.Processes[2].Tasks[0].DebugRegisters.Words[1] = 1 << 63 }, "which is the kernel's"},
		{func(s *format.Skeleton) { s.Processes[2].Tasks[0].DebugRegisters.Words = make([]uint64, 5) }, "5 debug registers"},
		{func(s *format.Skeleton) { s.Processes[2].Tasks[0].DebugRegisters.Watchpoints = make([]byte, 24) }, "on amd64"},
		{func(s *format.Skeleton) { s.Header.Architecture, s.Mms[0].NarrowVdsoDigest = "arm64", 1 }, "32-bit program on arm64"},
		{func(s *format.Skeleton) { s.Sighands[0].Actions = []*format.SignalAction{{Signal: 65}} }, "signal 65"},
		{func(s *format.Skeleton) { s.Container.RootPid = 99 }, "first process 99"},
		{func(s *format.Skeleton) { s.Processes[0].Parent = 5 }, "first process 1"},
		{func(s *format.Skeleton) { s.Processes[1].Parent = 77 }, "descend"},
		{func(s *format.Skeleton) { s.Processes[1].Parent = 9 }, "descend"},
		{func(s *format.Skeleton) { s.Layout.Contents[1].Owner = 3 }, "object 3"},
		{func(s *format.Skeleton) { s.Layout.Contents[3].Owner = 1 }, "object 1"},
	} {
		s := vectors.Everything()
		c.spoil(s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q, have: %v", c.want, err)
		}
	}
}

// TestRecords checks that Add undoes Records, and that lookups find everything.
func TestRecords(t *testing.T) {
	s, again := vectors.Everything(), &format.Skeleton{}
	var p format.Parser
	for i, r := range s.Records() {
		if r.Number != uint64(i) {
			t.Errorf("record %d has number %d", i, r.Number)
		}
		b, err := format.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := p.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(r, back) {
			t.Errorf("%v became %v", r, back)
		}
		if err := again.Add(back); err != nil {
			t.Fatal(err)
		}
	}
	if err := again.Check(); err != nil {
		t.Error(err)
	}
	// Lookups must not depend on the order.
	s.OpenFiles[0], s.OpenFiles[5] = s.OpenFiles[5], s.OpenFiles[0]
	for _, o := range s.OpenFiles {
		if s.OpenFile(o.Id) != o {
			t.Errorf("open file %d is not found", o.Id)
		}
	}
	if s.OpenFile(0) != nil || s.Mm(99) != nil || s.Process(2) != nil || s.Process(12).Pid != 12 {
		t.Error("a lookup finds what is not there, or not what is")
	}
}

// TestNames checks that names come back that are not UTF-8.
func TestNames(t *testing.T) {
	for _, name := range []string{"", "caf\xc3", "\xff\xfe", "a\uef80b", "\uefff\xee\xbe", "plain \u00e9 \u4e2d", "\xed\xa0\x80", "\xef\xbf\xbd"} {
		r := &format.Record{Number: 7, Body: &format.Record_Process{Process: &format.Process{
			Pid: 1, CommandLine: name, Tasks: []*format.Task{{Tid: 1, Name: name}, {Tid: 2, Name: "other"}},
		}}}
		b, err := format.Marshal(r)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		back, err := new(format.Parser).Parse(b)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		p := back.GetProcess()
		if p.CommandLine != name || p.Tasks[0].Name != name || p.Tasks[1].Name != "other" {
			t.Errorf("%q became %q and %q", name, p.CommandLine, p.Tasks[0].Name)
		}
		if got := r.GetProcess().CommandLine; got != name {
			t.Errorf("Marshal changed %q to %q", name, got)
		}
	}
}

// TestTooMany checks that a small input can't become millions of objects.
func TestTooMany(t *testing.T) {
	inner := []byte(strings.Repeat("\x7a\x00", format.MaxObjects+1)) // Mm.vmas, empty
	b, err := format.Marshal(&format.Record{Body: &format.Record_Mm{Mm: &format.Mm{}}})
	if err != nil {
		t.Fatal(err)
	}
	b = append(b[:len(b)-1], byte(len(inner)&0x7f|0x80), byte(len(inner)>>7&0x7f|0x80), byte(len(inner)>>14&0x7f|0x80), byte(len(inner)>>21))
	b = append(b, inner...)
	if _, err := new(format.Parser).Parse(b); err == nil || !strings.Contains(err.Error(), "more objects") {
		t.Errorf("%v", err)
	}
}

func FuzzRecords(f *testing.F) {
	for _, s := range []*format.Skeleton{vectors.Smallest(), vectors.Everything()} {
		var all []byte
		for _, r := range s.Records() {
			b, err := format.Marshal(r)
			if err != nil {
				f.Fatal(err)
			}
			all = append(append(all, byte(len(b)), byte(len(b)>>8)), b...)
		}
		f.Add(all)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &format.Skeleton{}
		var p format.Parser
		for len(b) > 2 {
			n := min(int(b[0])|int(b[1])<<8, len(b)-2)
			r, err := p.Parse(b[2 : 2+n])
			if err != nil || s.Add(r) != nil {
				return
			}
			b = b[2+n:]
		}
		if s.Check() != nil {
			return
		}
		// What has passed can be walked without looking.
		for _, p := range s.Processes {
			if p.State == format.ProcessState_ZOMBIE {
				continue
			}
			_, _ = s.Mm(p.Mm).Exe.Path, s.Sighand(p.Sighand).Actions
			for _, k := range p.Tasks {
				_, _, _ = s.FilesByID(k.Files).Descriptors, s.FsByID(k.Fs).Cwd, k.Credentials.Uid
			}
		}
	})
}

func unixSocket(s *format.Skeleton, id uint32) *format.UnixSocket {
	return openFile(s, id).GetUnixSocket()
}

func openFile(s *format.Skeleton, id uint32) *format.OpenFile {
	for _, o := range s.OpenFiles {
		if o.Id == id {
			return o
		}
	}
	return nil
}

// aio changes the mapping that is a ring of io_setup(2).
func aio(change func(v *format.Vma)) func(*format.Skeleton) {
	return func(s *format.Skeleton) {
		for _, v := range s.Mms[0].Vmas {
			if v.Aio != nil {
				change(v)
			}
		}
	}
}
