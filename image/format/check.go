package format

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/zeebo/xxh3"
)

// Limits on what an image may hold. A reader refuses more.
const (
	maxAddress    = 1 << 63   // no user space is larger
	maxPID        = 1 << 22   // PID_MAX_LIMIT, include/linux/threads.h
	maxDescriptor = 1 << 30   // more than sysctl fs.nr_open allows
	maxPath       = 4096      // PATH_MAX
	maxXsave      = 1 << 20   // of a register area; AMX needs 11 KiB
	maxVdso       = 1 << 20   // some pages, of up to 64 KiB
	maxFile       = 1<<63 - 1 // the largest loff_t
)

// Check says whether the skeleton makes sense: every reference leads to an
// object of its kind, ids are unique, mappings lie in order, and each number
// and length is within what a kernel allows. It is safe on any input; who uses
// a skeleton that it has passed may follow references without looking.
func (s *Skeleton) Check() error {
	if s.Header == nil || s.Container == nil || s.Layout == nil {
		return errors.New("the header, the container or the layout is missing")
	}
	if a := s.Header.Architecture; a != "amd64" && a != "arm64" {
		return fmt.Errorf("it is of architecture %q, which this version does not know", a)
	}
	if p := s.Header.PageSize; p < 4096 || p > 64<<10 || bits.OnesCount32(p) != 1 {
		return fmt.Errorf("a page size of %d bytes", p)
	}
	if n := len(s.Header.Vdso); n > maxVdso || n%int(s.Header.PageSize) != 0 || n > 0 && xxh3.Hash(s.Header.Vdso) != s.Header.VdsoDigest {
		return fmt.Errorf("a vdso of %d bytes, which are not pages or not those that it is said to have", n)
	}
	for _, x := range s.Header.XsaveComponents {
		if x.Number > 63 || x.Offset > maxXsave || x.Size > maxXsave {
			return fmt.Errorf("register component %d of %d bytes at %d, where none can be", x.Number, x.Size, x.Offset)
		}
	}
	for _, ns := range []int64{s.Header.TimeNs, s.Header.MonotonicNs, s.Header.BoottimeNs} {
		if ns < 0 || ns > maxTime/4 { // what is worked out from them must be a time as well
			return fmt.Errorf("a clock that showed %d ns", ns)
		}
	}
	if n := s.Container.LastPid; n > maxPID {
		return fmt.Errorf("%d is no process's number", n)
	}
	c := &checker{Skeleton: s, kinds: map[uint32]kind{}}
	for _, step := range []func() error{c.ids, c.namespaces, c.owners, c.mounts, c.cgroupTrees, c.memory, c.inherited, c.tables, c.openFiles, c.connections, c.epolls, c.seccomp, c.keyrings, c.bpf, c.processes, c.groups, c.tree, c.messageQueues, c.pids, c.layout} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// kind is what sort of object an id is of, as messages call it.
type kind string

const (
	aNamespace     kind = "namespace"
	anMm           kind = "address space"
	aSharedMemory  kind = "shared memory"
	aRingContent   kind = "content of a packet socket's rings"
	aFiles         kind = "descriptor table"
	anFs           kind = "fs"
	aSighand       kind = "signal table"
	anOpenFile     kind = "open file"
	aPipe          kind = "pipe"
	aMessageQueue  kind = "message queue"
	aFilter        kind = "seccomp filter"
	aFileSystem    kind = "file system"
	aFileContent   kind = "file's content"
	inheritedPages kind = "list of inherited pages"
	aKeyring       kind = "session keyring"
	aBpfMap        kind = "BPF map"
	aBpfProgram    kind = "BPF program"
)

type checker struct {
	*Skeleton
	kinds map[uint32]kind // of each id

	unixes map[uint32]*UnixSocket // by open file, see unixOf
	tids   map[uint32]bool        // numbers of tasks; nil: not gathered yet
}

func claim[T any](c *checker, k kind, list []*T, id func(*T) uint32) error {
	for _, m := range list {
		id := id(m)
		if id == 0 {
			return fmt.Errorf("a %s has no id", k)
		}
		if other, taken := c.kinds[id]; taken {
			return fmt.Errorf("id %d is that of a %s and of a %s", id, other, k)
		}
		c.kinds[id] = k
	}
	return nil
}

func (c *checker) ids() error {
	return errors.Join(
		claim(c, aFileSystem, c.FileSystems, (*FileSystem).GetId),
		claim(c, aFileContent, c.fileContents(), (*FileNode).GetContent),
		claim(c, aRingContent, c.packetRings(), (*PacketSocket).GetRingContent),
		claim(c, aNamespace, c.Namespaces, (*Namespace).GetId),
		claim(c, anMm, c.Mms, (*Mm).GetId),
		claim(c, aSharedMemory, c.SharedMemories, (*SharedMemory).GetId),
		claim(c, aFiles, c.Files, (*Files).GetId),
		claim(c, anFs, c.Fs, (*Fs).GetId),
		claim(c, aSighand, c.Sighands, (*Sighand).GetId),
		claim(c, anOpenFile, c.OpenFiles, (*OpenFile).GetId),
		claim(c, inheritedPages, c.Inherited, (*Inherited).GetId),
		claim(c, aPipe, c.Pipes, (*Pipe).GetId),
		claim(c, aMessageQueue, c.MessageQueues, (*MessageQueue).GetId),
		claim(c, aFilter, c.SeccompFilters, (*SeccompFilter).GetId),
		claim(c, aKeyring, c.SessionKeyrings, (*SessionKeyring).GetId),
		claim(c, aBpfMap, c.BpfMaps, (*BpfMap).GetId),
		claim(c, aBpfProgram, c.BpfPrograms, (*BpfProgram).GetId))
}

// fileContents are the nodes of file systems that have bytes.
func (c *checker) fileContents() []*FileNode {
	var all []*FileNode
	for _, f := range c.FileSystems {
		for _, n := range f.Nodes {
			if n.Content != 0 {
				all = append(all, n)
			}
		}
	}
	return all
}

// want checks a reference. who is built only for the message.
func (c *checker) want(id uint32, k kind, who func() string) error {
	if c.kinds[id] == k {
		return nil
	}
	if id == 0 {
		return fmt.Errorf("%s has no %s", who(), k)
	}
	return fmt.Errorf("%s refers to %s %d, which is not there", who(), k, id)
}

func (c *checker) namespaces() error {
	for _, n := range c.Namespaces {
		if n.Kind <= NamespaceKind_NAMESPACE_UNSPECIFIED || n.Kind > NamespaceKind_TIME {
			return fmt.Errorf("namespace %d is of kind %d, which this version does not know", n.Id, n.Kind)
		}
		if u := n.Uts; u != nil && (badName(u.Nodename, 64) || badName(u.Domainname, 64)) {
			return fmt.Errorf("namespace %d has a host name that no kernel takes", n.Id)
		}
		if err := c.ipc(n.Ipc); err != nil {
			return err
		}
		if err := memberships(n.CgroupRoots); err != nil {
			return fmt.Errorf("namespace %d %w", n.Id, err)
		}
		if err := c.network(n); err != nil {
			return err
		}
	}
	return nil
}

// badName tells strings that can't be what the kernel gave: over its length, or
// with a NUL byte inside.
func badName(s string, max int) bool { return len(s) > max || strings.IndexByte(s, 0) >= 0 }

func badPath(p string) bool { return !strings.HasPrefix(p, "/") || badName(p, maxPath) }

// file checks the identity of a file.
func (c *checker) file(f *FileIdentity, who func() string) error {
	if f == nil || badPath(f.Path) || f.Size > maxFile {
		return fmt.Errorf("%s has a file without an absolute path: %.80q", who(), f.GetPath())
	}
	return c.mountNamespace(f.MountNamespace, who)
}

func (c *checker) layout() error {
	seen := map[uint32]bool{}
	for i, p := range c.Inherited {
		if i >= len(c.Layout.Contents) || c.Layout.Contents[i].Owner != p.Id {
			return fmt.Errorf("the layout does not announce the inherited pages %d in their place", p.Id)
		}
	}
	for _, content := range c.Layout.Contents {
		k := c.kinds[content.Owner]
		if k != anMm && k != aSharedMemory && k != inheritedPages && k != aFileContent && k != aRingContent || seen[content.Owner] {
			return fmt.Errorf("the layout announces bytes of object %d, which has none, or announces them twice", content.Owner)
		}
		seen[content.Owner] = true
	}
	return nil
}
