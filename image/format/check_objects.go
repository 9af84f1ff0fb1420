package format

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// sharedMemory checks an inode that has no path.
func (c *checker) sharedMemory(m *SharedMemory) error {
	if m.Size > maxFile {
		return fmt.Errorf("it has %d bytes", m.Size)
	}
	if h := m.HugePageSize; h != 0 && (bits.OnesCount32(h) != 1 || h < c.Header.PageSize || m.Size%uint64(h) != 0 && m.GetSysv() == nil) {
		return fmt.Errorf("its %d bytes can't be huge pages of %d", m.Size, h)
	}
	switch k := m.Kind.(type) {
	case *SharedMemory_Memfd:
		const longest = 249 // MFD_NAME_MAX_LEN, mm/memfd.c
		f := k.Memfd
		if len(f.GetName()) > longest || strings.IndexByte(string(f.GetName()), 0) >= 0 {
			return fmt.Errorf("a memfd has no name %.80q", f.GetName())
		}
		if f.Seals > 0xffff {
			return fmt.Errorf("it has seals %#x", f.Seals)
		}
		return c.inode(f.Inode, sIFREG)
	case *SharedMemory_Deleted:
		d := k.Deleted
		if badPath(d.GetPath()) {
			return fmt.Errorf("its path is %.80q", d.GetPath())
		}
		if d.GetInode().GetMode()&sIFMT == sIFDIR {
			if m.Size != 0 || d.Nameless {
				return errors.New("it is a directory, and has what only a file has")
			}
			return c.inode(d.Inode, sIFDIR)
		}
		return c.inode(d.Inode, sIFREG)
	case *SharedMemory_Sysv:
		if m.Size == 0 {
			return errors.New("a segment is never empty")
		}
		if n := k.Sysv.GetNamespace(); n != 0 {
			if err := c.livesIn(n); err != nil {
				return err
			}
		}
		return sysv(k.Sysv.GetPermissions())
	case nil:
		if m.Size == 0 {
			return errors.New("it has 0 bytes")
		}
	default:
		return errors.New("it is of a kind that this version does not know")
	}
	return nil
}

const (
	sIFMT  = 0o170000
	sIFREG = 0o100000
	sIFDIR = 0o040000
)

func (c *checker) inode(i *Inode, kind uint32) error {
	if i == nil || i.Mode&sIFMT != kind || i.Mode > 0o177777 {
		return fmt.Errorf("its mode is %#o", i.GetMode())
	}
	for _, x := range i.Xattrs {
		if x.Name == "" || badName(x.Name, 255) || len(x.Value) > 64<<10 {
			return fmt.Errorf("it has an extended attribute %.80q of %d bytes", x.Name, len(x.Value))
		}
	}
	return nil
}

// sysv checks what System V's objects have in common.
func sysv(p *SysvPermissions) error {
	if p == nil || p.Id > 1<<31-1 || p.Mode > 0o777 {
		return fmt.Errorf("a System V object has id %d and mode %#o", p.GetId(), p.GetMode())
	}
	return nil
}

// removedDirectory checks a reference to a removed directory; 0 is none.
func (c *checker) removedDirectory(id uint32, who func() string) error {
	if id == 0 {
		return nil
	}
	if err := c.want(id, aSharedMemory, who); err != nil {
		return err
	}
	if c.SharedMemory(id).GetDeleted().GetInode().GetMode()&sIFMT != sIFDIR {
		return fmt.Errorf("%s is object %d, which is no directory", who(), id)
	}
	return nil
}
