package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/cmd/lxc-statefile/sysnames"
	"lxc-checkpoint/image/format"
)

// summarize puts into words what a skeleton has.
func summarize(s *format.Skeleton, m *measured) *Summary {
	h, c := s.Header, s.Container
	sum := &Summary{
		Shape: 1,
		Header: Header{
			Version: h.Version, ImageID: fmt.Sprintf("%016x", h.ImageId), Architecture: h.Architecture,
			KernelRelease: h.KernelRelease, PageSize: h.PageSize, ToolVersion: h.ToolVersion,
			Time: time.Unix(0, h.TimeNs).UTC().Format(time.RFC3339Nano),
		},
		Container: Container{Name: c.Name, LXCPath: c.Lxcpath, Rootfs: c.Rootfs, RootPID: c.RootPid, WasFrozen: c.WasFrozen},
		Memory:    m.total(), Statefile: m.file,
		Namespaces: []Namespace{}, Processes: []Process{},
	}
	for _, n := range s.Namespaces {
		sum.Namespaces = append(sum.Namespaces, Namespace{
			Kind: strings.ToLower(n.Kind.String()), Own: n.Own, Inode: n.Inode, Hostname: n.Uts.GetNodename(),
		})
	}
	first := map[uint32]uint32{} // the process that an address space was shown with
	for _, p := range s.Processes {
		sum.Processes = append(sum.Processes, process(s, p, m, first))
	}
	return sum
}

func process(s *format.Skeleton, p *format.Process, m *measured, first map[uint32]uint32) Process {
	out := Process{
		PID: p.Pid, Parent: p.Parent, Group: p.Group, Session: p.Session,
		Name: p.Tasks[0].Name, CommandLine: p.CommandLine, State: strings.ToLower(p.State.String()),
		Threads: []Thread{}, Memory: []Memory{}, Descriptors: []Descriptor{},
	}
	if p.State == format.ProcessState_ZOMBIE {
		return out
	}
	for _, t := range p.Tasks {
		k := Thread{TID: t.Tid, Name: t.Name, Ended: t.Ended}
		if n := t.SystemCallPlusOne; n != 0 {
			k.SystemCall = sysnames.Name(s.Header.Architecture, n-1)
		}
		out.Threads = append(out.Threads, k)
	}
	mm := s.Mm(p.Mm)
	out.Executable = mm.Exe.Path
	out.Memory = m.ofMm(mm)
	if other := first[mm.Id]; other != 0 {
		out.SharesWith = other
	} else {
		first[mm.Id] = p.Pid
	}
	table := s.FilesByID(p.Tasks[0].Files)
	for _, d := range table.Descriptors {
		o := s.OpenFile(d.OpenFile)
		kind, name := openFile(s, o)
		out.Descriptors = append(out.Descriptors, Descriptor{
			Number: d.Number, OpenFile: o.Id, Kind: kind, Name: name,
			Access: access(o.Flags), Position: o.Position, CloseOnExec: d.CloseOnExec, Locks: locks(table, d, o),
		})
	}
	return out
}

func access(flags uint32) string {
	if flags&unix.O_PATH != 0 {
		return "path"
	}
	return []string{"r", "w", "rw", "rw"}[flags&unix.O_ACCMODE]
}

// openFile says of which kind an open file is, and what it is called.
func openFile(s *format.Skeleton, o *format.OpenFile) (kind, name string) {
	switch k := o.Kind.(type) {
	case *format.OpenFile_Regular:
		return "file", k.Regular.Path
	case *format.OpenFile_Memory:
		return memory(s.SharedMemory(k.Memory.SharedMemory))
	case *format.OpenFile_Namespace:
		n := s.Namespace(k.Namespace.Namespace)
		return "namespace", fmt.Sprintf("%s %d", strings.ToLower(n.GetKind().String()), n.GetInode())
	case *format.OpenFile_Directory:
		return "directory", k.Directory.Path
	case *format.OpenFile_Device:
		return "device", k.Device.Path
	case *format.OpenFile_Terminal:
		return "terminal", k.Terminal.Path
	case *format.OpenFile_Pipe:
		return "pipe", pipe(s.Pipe(k.Pipe.Pipe))
	case *format.OpenFile_Fifo:
		return "fifo", k.Fifo.File.Path + ", " + pipe(s.Pipe(k.Fifo.Pipe))
	case *format.OpenFile_MessageQueue:
		q := s.MessageQueue(k.MessageQueue.Queue)
		return "message queue", fmt.Sprintf("/%s, %d messages", q.GetName(), len(q.GetMessages()))
	case *format.OpenFile_Eventfd:
		return "eventfd", fmt.Sprintf("count %d", k.Eventfd.Count)
	case *format.OpenFile_Timerfd:
		return "timerfd", timerfd(k.Timerfd)
	case *format.OpenFile_Signalfd:
		return "signalfd", fmt.Sprintf("mask %#x", k.Signalfd.Mask)
	case *format.OpenFile_Inotify:
		var paths []string
		for _, w := range k.Inotify.Watches {
			paths = append(paths, w.File.GetPath())
		}
		return "inotify", "watches " + strings.Join(paths, " ")
	case *format.OpenFile_Fanotify:
		return "fanotify", fmt.Sprintf("%d marks", len(k.Fanotify.Marks))
	case *format.OpenFile_External:
		return "external", k.External.Name + ", whose other end was outside"
	case *format.OpenFile_Pidfd:
		if k.Pidfd.Pid == 0 {
			return "pidfd", "of one that has ended"
		}
		return "pidfd", fmt.Sprintf("of %d", k.Pidfd.Pid)
	case *format.OpenFile_PtyMaster:
		m := k.PtyMaster
		return "pty master", fmt.Sprintf("of %s/%d, %d and %d bytes unread", m.Directory, m.Index, len(m.Output), len(m.Input))
	case *format.OpenFile_IoUring:
		u := k.IoUring
		return "io_uring", fmt.Sprintf("of %d, %d requests under way", u.SqEntries, len(u.Requests))
	case *format.OpenFile_Epoll:
		var numbers []uint32
		for _, t := range k.Epoll.Targets {
			numbers = append(numbers, t.Number)
		}
		slices.Sort(numbers)
		return "epoll", "watches " + ranges(numbers)
	case *format.OpenFile_TcpListener:
		l := k.TcpListener
		address, _ := netip.AddrFromSlice(l.Address)
		text := fmt.Sprintf("listens at %s", netip.AddrPortFrom(address, uint16(l.Port)))
		if n := len(l.Waiting); n > 0 {
			text += fmt.Sprintf(", connections that wait to be accepted: %d", n)
		}
		return "tcp", text
	case *format.OpenFile_PacketSocket:
		text := fmt.Sprintf("protocol %#x on %s", k.PacketSocket.Protocol, cmp.Or(k.PacketSocket.Name, "all interfaces"))
		if n := k.PacketSocket.RingSize(); n > 0 {
			text += fmt.Sprintf(", with rings of frames of %d bytes", n)
		}
		return "packet", text
	case *format.OpenFile_NetlinkSocket:
		return "netlink", fmt.Sprintf("protocol %d, port %d, groups %s", k.NetlinkSocket.Protocol, k.NetlinkSocket.Port, ranges(k.NetlinkSocket.Groups))
	case *format.OpenFile_TcpConnection:
		return "tcp", tcpConnection(k.TcpConnection)
	case *format.OpenFile_InetSocket:
		return "ip", inetSocket(k.InetSocket)
	case *format.OpenFile_UnixSocket:
		return "unix", unixSocket(k.UnixSocket)
	case *format.OpenFile_BpfMap:
		m := s.BpfMap(k.BpfMap.Object)
		return "BPF map", fmt.Sprintf("%s, type %d, %d entries at most", m.Name, m.Type, m.MaxEntries)
	case *format.OpenFile_BpfProgram:
		p := s.BpfProgram(k.BpfProgram.Object)
		return "BPF program", fmt.Sprintf("%s, type %d, tag %x", p.Name, p.Type, p.Tag)
	}
	return "unknown", ""
}

func timerfd(t *format.Timerfd) string {
	text := fmt.Sprintf("clock %d", t.Clock)
	if t.ValueNs != 0 {
		text += fmt.Sprintf(", %v left", time.Duration(t.ValueNs))
	}
	if t.IntervalNs != 0 {
		text += fmt.Sprintf(", every %v", time.Duration(t.IntervalNs))
	}
	if t.Ticks != 0 {
		text += fmt.Sprintf(", fired %d times", t.Ticks)
	}
	return text
}

func memory(m *format.SharedMemory) (kind, name string) {
	size := fmt.Sprintf(", %d bytes", m.Size)
	switch k := m.Kind.(type) {
	case *format.SharedMemory_Memfd:
		return "memfd", string(k.Memfd.Name) + size
	case *format.SharedMemory_Deleted:
		return "deleted", k.Deleted.Path + size
	}
	return "memory", strings.TrimPrefix(size, ", ")
}

func pipe(p *format.Pipe) string {
	if p == nil {
		return "never opened"
	}
	return fmt.Sprintf("%d, %d bytes unread", p.Id, len(p.Data))
}

func tcpConnection(c *format.TcpConnection) string {
	words := []string{"not bound"}
	if c.Address != nil {
		words[0] = "at " + inetName(c.Address)
	}
	if c.Peer != nil {
		words = append(words, "connected to "+inetName(c.Peer))
	}
	if n := len(c.ReceiveQueue); n > 0 {
		words = append(words, fmt.Sprintf("%d bytes unread", n))
	}
	if n := len(c.SendQueue); n > 0 {
		words = append(words, fmt.Sprintf("%d bytes not acknowledged", n))
	}
	return strings.Join(words, ", ")
}

func inetSocket(s *format.InetSocket) string {
	name := map[uint32]string{17: "UDP", 136: "UDP-Lite", 1: "ICMP", 58: "ICMPv6"}[s.Protocol]
	if name == "" {
		name = fmt.Sprintf("protocol %d", s.Protocol)
	}
	const raw = 3
	if s.Type == raw {
		name = "raw " + name
	}
	if a := s.Address; a != nil {
		name += " at " + inetName(a)
	}
	if p := s.Peer; p != nil {
		name += ", connected to " + inetName(p)
	}
	if n := len(s.Queue); n > 0 {
		name += fmt.Sprintf(", unread: %d", n)
	}
	return name
}

func inetName(a *format.InetAddress) string {
	address, _ := netip.AddrFromSlice(a.Address)
	return netip.AddrPortFrom(address, uint16(a.Port)).String()
}

func unixSocket(u *format.UnixSocket) string {
	words := []string{unixAddress(u)}
	switch {
	case u.PeerClosed:
		words = append(words, "its peer is closed")
	case u.Peer != 0:
		words = append(words, fmt.Sprintf("connected to open file %d", u.Peer))
	}
	unread := u.Queue
	for _, a := range u.Arrivals {
		unread = append(slices.Clip(unread), a.Queue...)
	}
	if n := len(u.Waiting); n > 0 {
		words = append(words, fmt.Sprintf("waiting to be accepted: %d", n))
	}
	if len(unread) > 0 {
		bytes := 0
		for _, m := range unread {
			bytes += len(m.Data)
		}
		words = append(words, fmt.Sprintf("%d bytes unread", bytes))
	}
	return strings.Join(words, ", ")
}

func unixAddress(u *format.UnixSocket) string {
	verb := "bound to"
	switch {
	case u.Listening:
		verb = "listens at"
	case u.Accepted:
		verb = "accepted at"
	}
	switch {
	case len(u.Address) == 0:
		return "not bound"
	case u.Address[0] == 0:
		return fmt.Sprintf("%s @%s", verb, strings.ReplaceAll(string(u.Address[1:]), "\x00", "@"))
	case u.Path != "":
		return verb + " " + u.Path
	}
	return fmt.Sprintf("%s %s", verb, u.Address)
}

// ranges writes sorted numbers shortly: "3 5-9", "nothing".
func ranges(numbers []uint32) string {
	var words []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] <= numbers[j]+1 {
			j++
		}
		word := strconv.Itoa(int(numbers[i]))
		if numbers[j] != numbers[i] {
			word += "-" + strconv.Itoa(int(numbers[j]))
		}
		words = append(words, word)
		i = j + 1
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, " ")
}
