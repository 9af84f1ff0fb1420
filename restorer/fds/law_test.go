package fds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"lxc-checkpoint/dumper/bpf"
	dumper "lxc-checkpoint/dumper/fds"
	"lxc-checkpoint/dumper/programs"
	"lxc-checkpoint/dumper/queues"
	dumperview "lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/elsewhere"
	"lxc-checkpoint/internal/sys"
)

// look is what the dumper sees of the helper's table, but for its own
// descriptors.
func look(t *testing.T, h *helper) *format.Skeleton {
	t.Helper()
	ids := &dumperview.IDs{}
	looker := programs.New(ids)
	var ns unix.Stat_t
	must(t, unix.Stat("/proc/self/ns/uts", &ns))
	env := dumper.Env{First: h.pid, IDs: ids, Tasks: map[int]uint32{h.pid: 1}, Namespaces: map[uint64]uint32{ns.Ino: 70}, Programs: looker}
	if teller, err := bpf.Open(); err == nil { // else rings of io_uring are not looked at
		defer teller.Close()
		env.Facts, err = teller.Tasks([]int{h.pid})
		must(t, err)
		kernel, err := bpf.OpenMemory()
		must(t, err)
		defer kernel.Close()
		env.Kernel = func() (dumperview.Kernel, error) { return kernel, nil }
	}
	env.Queues = &queues.Looker{IDs: ids, Namespaces: map[uint64]uint32{queueDevice(t, h): 0}, Tasks: env.Tasks}
	res, refused, err := dumper.Look(context.Background(), env, []dumper.Table{{ID: 1000, PID: h.pid, NSPID: 1, Command: "helper"}})
	must(t, err)
	table := res.Files[0]
	used := map[uint32]bool{} // those in flight are in no table
	for _, o := range res.OpenFiles {
		used[o.Id] = true
	}
	for _, d := range table.Descriptors {
		used[d.OpenFile] = false
	}
	table.Descriptors = slices.DeleteFunc(table.Descriptors, func(d *format.Descriptor) bool {
		own := slices.Contains(h.Reserved(), int(d.Number))
		used[d.OpenFile] = used[d.OpenFile] || !own
		return own
	})
	s := &format.Skeleton{MessageQueues: env.Queues.Found, Files: res.Files, Pipes: res.Pipes, BpfMaps: looker.Maps, BpfPrograms: looker.Programs}
	for _, o := range res.OpenFiles {
		if used[o.Id] {
			s.OpenFiles = append(s.OpenFiles, o)
		}
	}
	own := len(res.OpenFiles) - len(s.OpenFiles)
	if len(refused) > own {
		t.Fatalf("refused: %v", refused)
	}
	// Ids in the order of the table: the helper's own have taken some.
	number := map[uint32]uint32{}
	rename := func(id *uint32) {
		if *id == 0 {
			return
		}
		if number[*id] == 0 {
			number[*id] = uint32(len(number) + 1)
		}
		*id = number[*id]
	}
	for _, d := range table.Descriptors {
		rename(&d.OpenFile)
	}
	for _, o := range s.OpenFiles {
		rename(&o.Id)
		if e := o.GetPipe(); e != nil {
			rename(&e.Pipe)
		}
		if e := o.GetMessageQueue(); e != nil {
			rename(&e.Queue)
		}
		if e := o.GetFifo(); e != nil {
			rename(&e.Pipe)
		}
		if e := o.GetMemory(); e != nil {
			rename(&e.SharedMemory)
		}
		if u := o.GetIoUring(); u != nil {
			rename(&u.Event.OpenFile)
			for _, f := range u.Files {
				rename(&f.OpenFile)
			}
			for _, q := range u.Requests {
				rename(&q.OpenFile)
			}
		}
		for _, b := range []*format.BpfFile{o.GetBpfMap(), o.GetBpfProgram()} {
			if b != nil {
				rename(&b.Object)
			}
		}
		for _, e := range o.GetEpoll().GetTargets() {
			rename(&e.OpenFile)
		}
		if u := o.GetUnixSocket(); u != nil {
			rename(&u.Peer)
			for i := range u.Waiting {
				rename(&u.Waiting[i])
			}
			queues := [][]*format.UnixMessage{u.Queue}
			for _, a := range u.Arrivals {
				queues = append(queues, a.Queue)
			}
			for _, m := range slices.Concat(queues...) {
				rename(&m.Sender)
				for i := range m.Rights {
					rename(&m.Rights[i])
				}
			}
		}
	}
	for _, p := range s.Pipes {
		rename(&p.Id)
	}
	for _, q := range s.MessageQueues {
		rename(&q.Id)
	}
	for _, m := range s.BpfMaps {
		rename(&m.Id)
	}
	for _, p := range s.BpfPrograms {
		rename(&p.Id)
		for _, ref := range p.Maps {
			rename(&ref.Map)
		}
	}
	return s
}

// TestLookMakeLook is the law of the two rooms: what the dumper sees, is made
// and is seen again, is the same, for every kind of the image.
func TestLookMakeLook(t *testing.T) {
	h := newHelper(t)
	must(t, os.WriteFile(h.root("/data/f"), []byte("0123456789"), 0o644))
	must(t, unix.Mkfifo(h.root("/run/fifo"), 0o600))
	_, slave := master(t, h)
	must(t, os.Symlink(slave, h.root("/dev/console")))
	tty, err := unix.Open(h.root(slave), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(tty) })
	modes, size := make([]byte, termiosSize), make([]byte, winsizeSize)
	must(t, sys.IoctlBytes(tty, unix.TCGETS2, modes))
	must(t, sys.IoctlBytes(tty, unix.TIOCGWINSZ, size))

	s := &format.Skeleton{
		BpfMaps:     []*format.BpfMap{{Id: 153, Type: unix.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: 2, MaxEntries: 9, Name: "numbers", Frozen: true, Keys: []byte("key1"), Values: []byte("v1")}},
		BpfPrograms: []*format.BpfProgram{{Id: 154, Type: unix.BPF_PROG_TYPE_CGROUP_SKB, Name: "allow", Gpl: true, Instructions: bpfAllow, Maps: []*format.BpfReference{{Map: 153}}}},
		MessageQueues: []*format.MessageQueue{{Id: 55, Name: fmt.Appendf(nil, "lxc-checkpoint-%d", os.Getpid()), Removed: true, Mode: 0o604, Uid: 5, Gid: 6, MostMessages: 3, MessageSize: 20,
			Messages: []*format.QueuedMessage{{Priority: 9, Data: []byte("high")}, {Priority: 1, Data: []byte("low")}, {Priority: 1}}}},
		Pipes: []*format.Pipe{{Id: 51, Capacity: 8192, Data: []byte("hello")}, {Id: 52, Capacity: 65536, Data: []byte("packets"), Packets: []uint32{3, 4}}, {Id: 53, Capacity: 4096, Data: []byte("fifo")}},
		OpenFiles: []*format.OpenFile{
			regular(h, 1, "/data/f", unix.O_RDWR|unix.O_APPEND, 7),
			regular(h, 2, "/data/f", unix.O_PATH, 0),
			{Id: 3, Flags: unix.O_RDONLY | unix.O_DIRECTORY, Kind: &format.OpenFile_Directory{Directory: identify(h, "/data")}},
			{Id: 4, Flags: unix.O_RDWR, Kind: &format.OpenFile_Device{Device: identify(h, "/dev/null")}},
			{Id: 5, Flags: unix.O_RDWR, Kind: &format.OpenFile_Terminal{Terminal: &format.Terminal{Path: "/dev/console", Termios: modes, Winsize: size}}},
			{Id: 6, Flags: unix.O_RDONLY | unix.O_NONBLOCK, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 51}}, OwnerPid: 1, OwnerSignal: 35},
			{Id: 7, Flags: unix.O_WRONLY, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 51}}},
			{Id: 8, Flags: unix.O_RDONLY, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 52}}},
			{Id: 9, Flags: unix.O_WRONLY | unix.O_DIRECT, Kind: &format.OpenFile_Pipe{Pipe: &format.PipeEnd{Pipe: 52}}},
			{Id: 10, Flags: unix.O_RDWR, Kind: &format.OpenFile_Fifo{Fifo: &format.PipeEnd{Pipe: 53, File: identify(h, "/run/fifo")}}},
			eventfd(11, 42),
			{Id: 12, Flags: unix.O_RDWR, Kind: &format.OpenFile_Eventfd{Eventfd: &format.Eventfd{Count: 3, Semaphore: true}}},
			epoll(13, &format.EpollTarget{Number: 20, OpenFile: 11, Events: unix.EPOLLIN | unix.EPOLLERR | unix.EPOLLHUP, Data: 1 << 60, Files: 1000},
				&format.EpollTarget{Number: 15, OpenFile: 6, Events: unix.EPOLLONESHOT, Data: 5, Files: 1000}),
			tcp(14, unix.AF_INET, []byte{127, 0, 0, 1}, 6379, &format.SocketOption{Level: unix.SOL_SOCKET, Name: unix.SO_REUSEADDR, Value: number(1)}),
			tcp(15, unix.AF_INET6, make([]byte, 16), 80, &format.SocketOption{Level: unix.IPPROTO_IPV6, Name: unix.IPV6_V6ONLY, Value: number(1)},
				&format.SocketOption{Level: unix.SOL_SOCKET, Name: unix.SO_RCVBUF, Value: number(100_000)}),
			{Id: 16, Flags: unix.O_RDWR, Kind: &format.OpenFile_UnixSocket{UnixSocket: &format.UnixSocket{Type: unix.SOCK_DGRAM, Address: []byte("/run/log"), Path: "/run/log", Mode: 0o666, Uid: 3, Gid: 4}}},
			{Id: 17, Flags: unix.O_RDWR, Kind: &format.OpenFile_UnixSocket{UnixSocket: &format.UnixSocket{Type: unix.SOCK_STREAM, Address: []byte("\x00name"), Listening: true, Backlog: 5}}},
			{Id: 19, Flags: unix.O_RDWR | unix.O_APPEND, Position: 5, Kind: &format.OpenFile_Memory{Memory: &format.MemoryFile{SharedMemory: 60}}},
			{Id: 20, Flags: unix.O_RDONLY, Position: 6, Kind: &format.OpenFile_Memory{Memory: &format.MemoryFile{SharedMemory: 60}}},
			{Id: 18, Flags: unix.O_RDWR | unix.O_NONBLOCK, Kind: &format.OpenFile_UnixSocket{UnixSocket: &format.UnixSocket{Type: unix.SOCK_SEQPACKET}}},
			{Id: 21, Flags: unix.O_RDWR, Kind: &format.OpenFile_Timerfd{Timerfd: &format.Timerfd{Clock: unix.CLOCK_MONOTONIC, Ticks: 3}}},
			{Id: 22, Flags: unix.O_RDWR | unix.O_NONBLOCK, Kind: &format.OpenFile_Signalfd{Signalfd: &format.Signalfd{Mask: 1 << 9}}},
			{Id: 23, Flags: unix.O_RDONLY, Kind: &format.OpenFile_Inotify{Inotify: &format.Inotify{Watches: []*format.InotifyWatch{
				{Wd: 2, Mask: unix.IN_CREATE, File: identify(h, "/data")}, {Wd: 5, Mask: unix.IN_MODIFY, File: identify(h, "/data/f")},
			}}}},
			{Id: 24, Flags: unix.O_RDWR | unix.O_NONBLOCK, Kind: &format.OpenFile_Pidfd{Pidfd: &format.Pidfd{Pid: 1}}},
			{Id: 25, Flags: unix.O_RDWR, Kind: &format.OpenFile_Pidfd{Pidfd: &format.Pidfd{}}},
			{Id: 29, Flags: unix.O_RDONLY, Kind: &format.OpenFile_Namespace{Namespace: &format.NamespaceFile{Namespace: 70}}},
			{Id: 26, Flags: unix.O_RDWR | unix.O_NONBLOCK, Kind: &format.OpenFile_PtyMaster{PtyMaster: &format.PtyMaster{
				Path: "/dev/pts/ptmx", Directory: "/dev/pts", Index: 3, Termios: modes, Winsize: size, Packet: true, Output: []byte("screen"), Input: []byte("keys"), Mode: 0o620, Uid: 1, Gid: 2,
			}}},
			{Id: 150, Flags: unix.O_RDWR, Kind: &format.OpenFile_BpfMap{BpfMap: &format.BpfFile{Object: 153}}},
			{Id: 151, Flags: unix.O_RDONLY, Kind: &format.OpenFile_BpfMap{BpfMap: &format.BpfFile{Object: 153}}},
			{Id: 152, Flags: unix.O_RDWR, Kind: &format.OpenFile_BpfProgram{BpfProgram: &format.BpfFile{Object: 154}}},
			{Id: 27, Flags: unix.O_RDWR, Kind: &format.OpenFile_Terminal{Terminal: &format.Terminal{Path: "/dev/pts/3", Termios: modes, Winsize: size}}},
			{Id: 28, Flags: unix.O_RDWR, Kind: &format.OpenFile_PtyMaster{PtyMaster: &format.PtyMaster{
				Path: "/dev/pts/ptmx", Directory: "/dev/pts", Index: 1, Termios: modes, Winsize: size, Locked: true, HungUp: true, Mode: 0o600,
			}}},
			{Id: 58, Flags: unix.O_RDWR | unix.O_NONBLOCK, Kind: &format.OpenFile_Fanotify{Fanotify: &format.Fanotify{Flags: unix.FAN_CLOEXEC | unix.FAN_NONBLOCK, EventFlags: unix.O_WRONLY, Marks: []*format.FanotifyMark{
				{Mask: unix.FAN_MODIFY | unix.FAN_ONDIR | unix.FAN_EVENT_ON_CHILD, Ignored: unix.FAN_CLOSE_WRITE, Flags: format.FanMarkSurvives, File: identify(h, "/data")},
			}}}},
			{Id: 56, Flags: unix.O_WRONLY | unix.O_NONBLOCK, Kind: &format.OpenFile_MessageQueue{MessageQueue: &format.MessageQueueFile{Queue: 55}}},
			{Id: 57, Flags: unix.O_RDONLY, Position: 3, Kind: &format.OpenFile_MessageQueue{MessageQueue: &format.MessageQueueFile{Queue: 55}}},
		},
	}
	s.OpenFiles = append(append(s.OpenFiles, unixSamples(s)...), inetSamples()...)
	s.OpenFiles = append(s.OpenFiles, uringSample(t, h)...)
	s.Files = []*format.Files{at(append(slices.Clone(s.OpenFiles), s.OpenFiles[0])...)}
	s.OpenFiles = append(s.OpenFiles, eventfd(135, 9)) // in flight only
	s.Files[0].Descriptors[4].CloseOnExec = true
	seen := map[string]bool{}
	for _, o := range s.OpenFiles {
		seen[mustKind(t, o).name] = true
	}
	if len(seen) != len(kinds())-1 { // what is outside nobody looks at
		t.Errorf("the test has files of %d kinds, the image knows %d", len(seen), len(kinds()))
	}

	must(t, build(t, s, h).Close())
	first := look(t, h)
	for i, d := range s.Files[0].Descriptors {
		if i < len(s.OpenFiles) && s.OpenFiles[i].GetTcpConnection() != nil { // so that nothing of it is left
			h.call(unix.SYS_SETSOCKOPT, uint64(d.Number), unix.IPPROTO_TCP, unix.TCP_REPAIR, h.scratchInt(1), 4)
		}
		h.call(unix.SYS_CLOSE, uint64(d.Number))
	}
	must(t, build(t, first, h).Close())
	second := look(t, h)
	if len(first.OpenFiles) != len(s.OpenFiles) || len(first.Pipes) != len(s.Pipes) {
		t.Errorf("%d open files and %d pipes were seen, %d and %d made", len(first.OpenFiles), len(first.Pipes), len(s.OpenFiles), len(s.Pipes))
	}
	same := func(a, b proto.Message) {
		t.Helper()
		if !proto.Equal(a, b) {
			t.Errorf("at first: %v\nthen: %v", prototext.Format(a), prototext.Format(b))
		}
	}
	same(first.Files[0], second.Files[0])
	for i := range first.OpenFiles {
		for _, o := range []*format.OpenFile{first.OpenFiles[i], second.OpenFiles[i]} {
			if id := o.GetFifo().GetFile(); id != nil {
				id.MtimeNs = 0 // each write of content changes it
			}
			// The kernel has them by address.
			slices.SortFunc(o.GetEpoll().GetTargets(), func(a, b *format.EpollTarget) int { return int(a.Number) - int(b.Number) })
		}
		same(first.OpenFiles[i], second.OpenFiles[i])
	}
	for i := range first.BpfMaps {
		same(first.BpfMaps[i], second.BpfMaps[i])
	}
	for i := range first.BpfPrograms {
		same(first.BpfPrograms[i], second.BpfPrograms[i])
	}
	if len(first.BpfMaps) != 1 || len(first.BpfPrograms) != 1 || string(first.BpfMaps[0].Values) != "v1" {
		t.Errorf("maps %v, programs %v", first.BpfMaps, first.BpfPrograms)
	}
	for i := range first.Pipes {
		same(first.Pipes[i], second.Pipes[i])
	}
	if len(first.MessageQueues) != 1 || len(second.MessageQueues) != 1 {
		t.Fatalf("queues %v, then %v", first.MessageQueues, second.MessageQueues)
	}
	first.MessageQueues[0].Id, second.MessageQueues[0].Id, s.MessageQueues[0].Id = 1, 1, 1
	same(first.MessageQueues[0], second.MessageQueues[0])
	same(s.MessageQueues[0], first.MessageQueues[0])
	// And what was made first is what was seen.
	for _, list := range [][]*format.OpenFile{s.OpenFiles, first.OpenFiles, second.OpenFiles} {
		for _, o := range list {
			if p := o.GetPacketSocket(); p.GetRingContent() != 0 {
				p.RingContent = 1 // another number each time
			}
		}
	}
	for i, o := range first.OpenFiles {
		if want := mustKind(t, s.OpenFiles[i]); mustKind(t, o).name != want.name {
			t.Errorf("%s came back as %s", want.name, mustKind(t, o).name)
		}
		if o.GetInetSocket() != nil || o.GetNetlinkSocket() != nil || o.GetPacketSocket() != nil { // they refer to nothing
			same(&format.OpenFile{Kind: s.OpenFiles[i].Kind}, &format.OpenFile{Kind: o.Kind})
		}
	}
	for i, o := range first.OpenFiles {
		if u, want := o.GetIoUring(), s.OpenFiles[i].GetIoUring(); want != nil &&
			(u.SqHead != want.SqHead || u.CqTail != want.CqTail || !proto.Equal(u.Requests[0], &format.IoUringRequest{Sqe: want.Requests[0].Sqe, Task: 1, OpenFile: u.Requests[0].OpenFile}) ||
				!slices.Equal(u.Sqes, want.Sqes) || len(u.Files) != 2 || u.Files[1].Tag != 3 || u.Event == nil) {
			t.Errorf("the io_uring: %v", prototext.Format(u))
		}
	}
	if e := first.OpenFiles[12].GetEpoll().GetTargets(); len(e) != 2 {
		t.Errorf("targets: %v", e)
	}
	if p := first.Pipes[1]; string(p.Data) != "packets" || !slices.Equal(p.Packets, []uint32{3, 4}) {
		t.Errorf("packets: %v", p)
	}
}

// queueDevice is the number of the file system of message queues.
func queueDevice(t *testing.T, h *helper) (device uint64) {
	must(t, elsewhere.InIPC(h.pid, func() error {
		const name = "device"
		fd, err := sys.MqOpen(name, unix.O_RDWR|unix.O_CREAT, 0o600, nil)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		err = errors.Join(sys.MqUnlink(name), unix.Fstat(fd, &st))
		device = st.Dev
		return err
	}))
	return device
}

// bpfAllow loads the address of a map, which it does not use, and returns 1.
var bpfAllow = []byte{
	0x18, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0,
}

func mustKind(t *testing.T, o *format.OpenFile) *kind {
	t.Helper()
	k, err := kindOf(kinds(), o)
	must(t, err)
	return k
}

// TestPidfdOutside: whom the container can't see is named.
func TestPidfdOutside(t *testing.T) {
	h := newHelper(t)
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	must(t, err)
	defer unix.Close(fd)
	if _, err := h.Send([]int{fd}); err != nil {
		t.Fatal(err)
	}
	env := dumper.Env{First: h.pid, IDs: &dumperview.IDs{}, Tasks: map[int]uint32{h.pid: 1}}
	_, refused, err := dumper.Look(context.Background(), env, []dumper.Table{{ID: 1000, PID: h.pid, NSPID: 1, Command: "helper"}})
	must(t, err)
	want := fmt.Sprintf("pidfd: it refers to process %d of the host, which is not in the container", os.Getpid())
	if !strings.Contains(refused.Error(), want) {
		t.Errorf("the refusal should have %q: %v", want, refused)
	}
}
