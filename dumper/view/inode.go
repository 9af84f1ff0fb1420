package view

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

var pageSize = uint64(os.Getpagesize())

// Extents lists what of a file holds data, in whole pages: holes were never
// written (lseek(2), SEEK_DATA), and pages that are swapped out are none. A file
// system that does not know has one extent (generic_file_llseek, fs/read_write.c).
func Extents(f *os.File, size uint64) ([]Extent, error) {
	var all []Extent
	end := int64((size + pageSize - 1) / pageSize * pageSize)
	for at := int64(0); at < end; {
		data, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // only a hole is left
		}
		if err != nil {
			return nil, err
		}
		hole, err := f.Seek(data, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		// Blocks of a file system may be smaller than pages.
		start := uint64(data) &^ (pageSize - 1)
		stop := (uint64(hole) + pageSize - 1) &^ (pageSize - 1)
		if n := len(all); n > 0 && all[n-1].Start+all[n-1].Length >= start {
			all[n-1].Length = stop - all[n-1].Start
		} else {
			all = append(all, Extent{start, stop - start})
		}
		at = hole
	}
	return all, nil
}

// InodeOf tells what a file has besides its content.
func InodeOf(f *os.File, st *unix.Stat_t) (*format.Inode, error) {
	i := &format.Inode{Mode: st.Mode, Uid: st.Uid, Gid: st.Gid, AtimeNs: st.Atim.Nano(), MtimeNs: st.Mtim.Nano()}
	fd := int(f.Fd())
	names := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(fd, names)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return i, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list its extended attributes: %w", err)
	}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		// What a security module gives to a file, it gives to the next one, too.
		if name == "" || strings.HasPrefix(name, "security.") && name != "security.capability" || strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		n, err := unix.Fgetxattr(fd, name, value)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read its extended attribute %s: %w", name, err)
		}
		i.Xattrs = append(i.Xattrs, &format.Xattr{Name: name, Value: append([]byte(nil), value[:n]...)})
	}
	return i, nil
}
