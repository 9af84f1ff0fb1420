package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

func (c *checker) tables() error {
	for _, f := range c.Files {
		last := int64(-1)
		for _, d := range f.Descriptors {
			who := func() string { return fmt.Sprintf("descriptor %d of table %d", d.Number, f.Id) }
			if int64(d.Number) <= last || d.Number > maxDescriptor {
				return fmt.Errorf("%s is out of order", who())
			}
			last = int64(d.Number)
			if err := c.want(d.OpenFile, anOpenFile, who); err != nil {
				return err
			}
		}
		for _, l := range f.Locks {
			if err := l.check(true); err != nil {
				return fmt.Errorf("table %d has a lock of kind %d that cannot be: %w", f.Id, l.Kind, err)
			}
			if !slices.ContainsFunc(f.Descriptors, func(d *Descriptor) bool { return d.Number == l.Number }) {
				return fmt.Errorf("table %d has a lock by descriptor %d, which is not there", f.Id, l.Number)
			}
		}
	}
	for _, f := range c.Fs {
		for _, p := range []string{f.Root, f.Cwd} {
			if badPath(p) {
				return fmt.Errorf("fs %d has a directory %.80q", f.Id, p)
			}
		}
		for _, id := range []uint32{f.RootMemory, f.CwdMemory} {
			if err := c.removedDirectory(id, func() string { return fmt.Sprintf("a directory of fs %d", f.Id) }); err != nil {
				return err
			}
		}
		if err := c.mountNamespace(f.MountNamespace, func() string { return fmt.Sprintf("fs %d", f.Id) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) openFiles() error {
	for _, p := range c.Pipes {
		sum := uint64(0)
		for _, n := range p.Packets {
			sum += uint64(n)
		}
		if uint64(len(p.Data)) > uint64(p.Capacity) || len(p.Packets) > 0 && sum != uint64(len(p.Data)) {
			return fmt.Errorf("pipe %d has a capacity of %d bytes and holds %d, in packets of %d", p.Id, p.Capacity, len(p.Data), sum)
		}
	}
	for _, o := range c.OpenFiles {
		if o.Position < 0 {
			return fmt.Errorf("open file %d is at position %d", o.Id, o.Position)
		}
		if n := c.Namespace(o.Network); o.Network != 0 && (n == nil || n.Kind != NamespaceKind_NET || !n.Own) {
			return fmt.Errorf("open file %d is of network namespace %d, which is not there", o.Id, o.Network)
		}
		for _, l := range o.Locks {
			if err := l.check(false); err != nil {
				return fmt.Errorf("open file %d has a lock of kind %d that cannot be: %w", o.Id, l.Kind, err)
			}
		}
		if t := o.Pressure; t != nil {
			const most = 10_000_000 // WINDOW_MAX_US, kernel/sched/psi.c
			if o.GetRegular() == nil || t.ThresholdUs == 0 || t.ThresholdUs > t.WindowUs || t.WindowUs > most {
				return fmt.Errorf("open file %d waits for a pressure of %d µs in %d µs, which cannot be", o.Id, t.ThresholdUs, t.WindowUs)
			}
		}
		if err := c.openFile(o); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) openFile(o *OpenFile) error {
	who := func() string { return fmt.Sprintf("open file %d", o.Id) }
	switch k := o.Kind.(type) {
	case nil:
		return fmt.Errorf("%s is of no kind that this version knows", who())
	case *OpenFile_Namespace:
		return c.want(k.Namespace.GetNamespace(), aNamespace, who)
	case *OpenFile_Regular:
		return c.file(k.Regular, who)
	case *OpenFile_Directory:
		return c.file(k.Directory, who)
	case *OpenFile_Device:
		return c.file(k.Device, who)
	case *OpenFile_Memory:
		return c.want(k.Memory.GetSharedMemory(), aSharedMemory, who)
	case *OpenFile_Terminal:
		t := k.Terminal
		const maxTermios, winsize = 64, 8
		if badPath(t.GetPath()) || len(t.GetTermios()) > maxTermios || len(t.GetWinsize()) > winsize {
			return fmt.Errorf("%s is terminal %.80q with impossible settings", who(), t.GetPath())
		}
	case *OpenFile_PtyMaster:
		return k.PtyMaster.check(who)
	case *OpenFile_Pipe:
		return c.want(k.Pipe.GetPipe(), aPipe, who)
	case *OpenFile_Fifo:
		if err := c.file(k.Fifo.GetFile(), who); err != nil {
			return err
		}
		if k.Fifo.Pipe == 0 { // never opened for reading or writing
			return nil
		}
		return c.want(k.Fifo.Pipe, aPipe, who)
	case *OpenFile_MessageQueue:
		return c.messageQueueFile(k.MessageQueue, who)
	case *OpenFile_BpfMap:
		return c.want(k.BpfMap.GetObject(), aBpfMap, who)
	case *OpenFile_BpfProgram:
		return c.want(k.BpfProgram.GetObject(), aBpfProgram, who)
	case *OpenFile_IoUring:
		return c.ioUring(k.IoUring, who)
	case *OpenFile_Timerfd, *OpenFile_Signalfd, *OpenFile_Inotify, *OpenFile_Fanotify, *OpenFile_Pidfd:
		return c.eventSource(o, who)
	case *OpenFile_TcpListener:
		return tcpListener(k.TcpListener, who)
	case *OpenFile_PacketSocket:
		return packetSocket(k.PacketSocket, who)
	case *OpenFile_NetlinkSocket:
		return netlinkSocket(k.NetlinkSocket, who)
	case *OpenFile_TcpConnection:
		return tcpConnection(k.TcpConnection, who)
	case *OpenFile_InetSocket:
		return inetSocket(k.InetSocket, who)
	case *OpenFile_UnixSocket:
		return c.unixSocket(k.UnixSocket, who)
	case *OpenFile_External:
		const longest = 64
		if e := k.External; e.GetName() == "" || len(e.Name) > longest || len(e.Termios) > longest || strings.ContainsFunc(e.Name, unicode.IsControl) {
			return fmt.Errorf("%s is something outside that is called %.80q", who(), e.GetName())
		}
	}
	return nil
}

func options(list []*SocketOption, who func() string) error {
	for _, o := range list {
		const most = 64 << 10 // a BPF filter is the longest
		if len(o.Value) > most {
			return fmt.Errorf("%s has a socket option of %d bytes", who(), len(o.Value))
		}
	}
	return nil
}

// epolls checks what epolls watch: others maybe, but never, over whatever
// detour, themselves (which the kernel refuses, too).
func (c *checker) epolls() error {
	watches := map[uint32][]*EpollTarget{}
	for _, o := range c.OpenFiles {
		k, ok := o.Kind.(*OpenFile_Epoll)
		if !ok {
			continue
		}
		who := func() string { return fmt.Sprintf("epoll %d", o.Id) }
		for _, t := range k.Epoll.GetTargets() {
			if t.Number > maxDescriptor {
				return fmt.Errorf("%s watches descriptor %d", who(), t.Number)
			}
			if err := c.want(t.OpenFile, anOpenFile, who); err != nil {
				return err
			}
			if t.Files != 0 {
				if err := c.want(t.Files, aFiles, who); err != nil {
					return err
				}
			}
		}
		watches[o.Id] = k.Epoll.GetTargets()
	}
	height := map[uint32]int{}
	for id := range watches {
		if err := nest(watches, height, id, 0); err != nil {
			return err
		}
	}
	return nil
}

// nest finds how high epolls stand upon each other.
func nest(watches map[uint32][]*EpollTarget, height map[uint32]int, id uint32, depth int) error {
	const most = 5 // EP_MAX_NESTS is 4, fs/eventpoll.c
	if depth+height[id] > most {
		return errors.New("epolls watch each other in a circle")
	}
	if _, known := height[id]; known {
		return nil
	}
	h := 0
	for _, t := range watches[id] {
		if _, epoll := watches[t.OpenFile]; epoll {
			if err := nest(watches, height, t.OpenFile, depth+1); err != nil {
				return err
			}
			h = max(h, 1+height[t.OpenFile])
		}
	}
	height[id] = h
	return nil
}
