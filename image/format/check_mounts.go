package format

import (
	"fmt"
	"path"
	"strings"
)

// File types of st_mode (inode(7)).
const (
	typeMask      = 0o170000
	typeSocket    = 0o140000
	typeLink      = 0o120000
	typeRegular   = 0o100000
	typeBlock     = 0o060000
	typeDirectory = 0o040000
	typeCharacter = 0o020000
	typeFIFO      = 0o010000
)

// mounts checks file systems, and what is mounted in each mount namespace.
func (c *checker) mounts() error {
	for _, f := range c.FileSystems {
		if f.Fstype == "" || badName(f.Fstype, 255) || badName(f.Source, maxPath) || badName(f.Options, 64<<10) {
			return fmt.Errorf("file system %d has no type, or one that no kernel has", f.Id)
		}
		if err := f.checkNodes(); err != nil {
			return fmt.Errorf("file system %d (%s): %w", f.Id, f.Fstype, err)
		}
		if f.Overlay != nil {
			if err := c.overlay(f); err != nil {
				return fmt.Errorf("file system %d (%s): %w", f.Id, f.Fstype, err)
			}
		}
	}
	for _, n := range c.Namespaces {
		if err := c.mountsOf(n); err != nil {
			return fmt.Errorf("mount namespace %d: %w", n.Id, err)
		}
	}
	return nil
}

func (c *checker) mountsOf(n *Namespace) error {
	seen := map[uint32]*Mount{}
	for i, m := range n.Mounts {
		who := func() string { return fmt.Sprintf("mount %.80q", m.Mountpoint) }
		if err := c.want(m.FileSystem, aFileSystem, who); err != nil {
			return err
		}
		if badName(m.Root, maxPath) || badPath(m.Mountpoint) || path.Clean(m.Mountpoint) != m.Mountpoint {
			return fmt.Errorf("%s has no absolute path", who())
		}
		if seen[m.MountId] != nil {
			return fmt.Errorf("%s has the number %d, and so has another", who(), m.MountId)
		}
		if parent := seen[m.ParentId]; i > 0 && (parent == nil || !isBelow(m.Mountpoint, parent.Mountpoint)) {
			return fmt.Errorf("%s lies on mount %d, which does not come before it or is elsewhere", who(), m.ParentId)
		}
		for _, list := range [][]*IdRange{m.Uids, m.Gids} {
			if err := idRanges(list); err != nil {
				return fmt.Errorf("%s: %w", who(), err)
			}
		}
		if m.Namespace != 0 {
			if err := c.want(m.Namespace, aNamespace, who); err != nil {
				return err
			}
			if m.Fstype != "nsfs" {
				return fmt.Errorf("%s is of %s, and shows a namespace", who(), m.Fstype)
			}
		}
		seen[m.MountId] = m
	}
	return nil
}

// overlay checks where the layers of one are.
func (c *checker) overlay(f *FileSystem) error {
	o := f.Overlay
	if badPath(o.Directory) || path.Clean(o.Directory) != o.Directory {
		return fmt.Errorf("the directory of its layers, %.80q, is no absolute path", o.Directory)
	}
	n := c.Namespace(o.MountNamespace)
	if n.GetKind() != NamespaceKind_MNT || len(n.GetMounts()) == 0 {
		return fmt.Errorf("its layers are in namespace %d, which has no mounts", o.MountNamespace)
	}
	if l := f.Layers(); f.Fstype != "overlay" || len(l.Lower) == 0 {
		return fmt.Errorf("it is no overlay, or one without a lower directory")
	}
	return nil
}

// isBelow tells whether a clean path is another one, or lies below it.
func isBelow(p, top string) bool {
	return p == top || top == "/" || strings.HasPrefix(p, top+"/")
}

// checkNodes: names are unique and clean, and each but the first lies in a
// directory that comes before it.
func (f *FileSystem) checkNodes() error {
	directory := map[string]bool{}
	for i, n := range f.Nodes {
		if badPath(n.Path) || path.Clean(n.Path) != n.Path {
			return fmt.Errorf("the name %.80q is not an absolute one", n.Path)
		}
		if _, twice := directory[n.Path]; twice || i > 0 && (n.Path == "/" || !directory[path.Dir(n.Path)]) {
			return fmt.Errorf("%.80q is there twice, or its directory does not come before it", n.Path)
		}
		directory[n.Path] = n.LinkPlusOne == 0 && n.Mode&typeMask == typeDirectory
		if n.LinkPlusOne != 0 {
			if l := int(n.LinkPlusOne) - 1; l >= i || f.Nodes[l].LinkPlusOne != 0 || f.Nodes[l].Mode&typeMask == typeDirectory {
				return fmt.Errorf("%.80q is a link to what does not come before it, or can't have links", n.Path)
			}
			continue
		}
		if err := n.check(); err != nil {
			return fmt.Errorf("%.80q: %w", n.Path, err)
		}
	}
	return nil
}

func (n *FileNode) check() error {
	regular := false
	switch n.Mode & typeMask {
	case typeRegular:
		regular = true
	case typeDirectory, typeCharacter, typeBlock, typeFIFO, typeSocket:
	case typeLink:
		if n.Target == "" || badName(n.Target, maxPath) {
			return fmt.Errorf("a symbolic link to nowhere")
		}
	default:
		return fmt.Errorf("mode %#o is of no type of file", n.Mode)
	}
	if n.Mode&^(typeMask|0o7777) != 0 || n.Size > maxFile || !regular && n.Content != 0 {
		return fmt.Errorf("mode %#o and a size of %d don't go together", n.Mode, n.Size)
	}
	if n.Flags&^FileFlags != 0 || n.Flags != 0 && !regular && n.Mode&typeMask != typeDirectory {
		return fmt.Errorf("flags %#x that it can't have", n.Flags)
	}
	for _, a := range n.Attributes {
		const maxName, maxValue = 255, 64 << 10 // XATTR_NAME_MAX, XATTR_SIZE_MAX
		if a.Name == "" || badName(a.Name, maxName) || len(a.Value) > maxValue {
			return fmt.Errorf("an extended attribute %.80q of %d bytes", a.Name, len(a.Value))
		}
	}
	return nil
}

// namespaceIDs checks a list of namespaces: one of each kind.
func (c *checker) namespaceIDs(ids []uint32, who func() string) error {
	seen := map[NamespaceKind]bool{}
	for _, id := range ids {
		if err := c.want(id, aNamespace, who); err != nil {
			return err
		}
		if k := c.Namespace(id).Kind; seen[k] {
			return fmt.Errorf("%s is in two namespaces of kind %v", who(), k)
		} else {
			seen[k] = true
		}
	}
	return nil
}

// mountNamespace checks from which root a path counts.
func (c *checker) mountNamespace(id uint32, who func() string) error {
	if id == 0 {
		return nil
	}
	if err := c.want(id, aNamespace, who); err != nil {
		return err
	}
	if c.Namespace(id).Kind != NamespaceKind_MNT {
		return fmt.Errorf("%s has a path in namespace %d, which has no mounts", who(), id)
	}
	return nil
}

// FileFlags are FS_*_FL that a FileNode can have: append only, immutable, no dump,
// no access times (SHMEM_FL_USER_MODIFIABLE, include/linux/shmem_fs.h).
const FileFlags = 0x20 | 0x10 | 0x40 | 0x80
