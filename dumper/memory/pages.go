package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
)

// keptArea is a mapping whose pages belong into the contents.
type keptArea struct {
	start, end uint64
	how        how
}

// pages finds the pages of a process that hold data of its own within areas
// (by address, not overlapping), and its guard regions. The pages of a private
// file mapping that are still the file's are not among them.
func pages(pid int, areas []keptArea) ([]extent, []*format.Extent, error) {
	if len(areas) == 0 {
		return nil, nil, nil
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	c := collector{areas: areas}
	err = scan(f, &c)
	if errors.Is(err, unix.ENOTTY) { // before Linux 6.7
		c = collector{areas: areas}
		err = readPagemap(f, &c)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("find the pages of host's process %d: %w", pid, err)
	}
	return c.extents, c.guards, nil
}

// collector cuts runs of pages, given by address, to the areas they lie in.
type collector struct {
	areas   []keptArea // those that the next run may lie in
	extents []extent
	guards  []*format.Extent
}

func (c *collector) run(start, end uint64, guard bool) {
	for len(c.areas) > 0 && c.areas[0].end <= start {
		c.areas = c.areas[1:]
	}
	for _, a := range c.areas {
		if a.start >= end {
			return
		}
		from, to := max(start, a.start), min(end, a.end)
		if guard {
			c.guard(from, to-from)
		} else {
			c.extent(from, to-from, a.how)
		}
	}
}

func (c *collector) extent(start, length uint64, h how) {
	if n := len(c.extents); n > 0 {
		if last := &c.extents[n-1]; last.start+last.length == start && last.how == h {
			last.length += length
			return
		}
	}
	c.extents = append(c.extents, extent{start, length, h})
}

func (c *collector) guard(start, length uint64) {
	if n := len(c.guards); n > 0 {
		if last := c.guards[n-1]; last.Start+last.Length == start {
			last.Length += length
			return
		}
	}
	c.guards = append(c.guards, &format.Extent{Start: start, Length: length})
}

// regions are the buffers of scan; 8192 runs at a time.
var regions = sync.Pool{New: func() any { return make([]sys.PageRegion, 8192) }}

// scan asks PAGEMAP_SCAN, once for all areas: that is five times faster than
// once for each if they are many.
func scan(f *os.File, c *collector) error {
	buffer := regions.Get().([]sys.PageRegion)
	//lint:ignore SA6002 one small allocation for 200 KiB
	defer regions.Put(buffer)
	arg := sys.PagemapScanArg{
		Start: c.areas[0].start, End: c.areas[len(c.areas)-1].end,
		// Neither of a file nor the shared zero page, but something.
		CategoryInverted: sys.PageIsFile | sys.PageIsPfnZero,
		CategoryMask:     sys.PageIsFile | sys.PageIsPfnZero,
		CategoryAnyof:    sys.PageIsPresent | sys.PageIsSwapped,
		ReturnMask:       sys.PageIsGuard,
	}
	for arg.Start < arg.End {
		n, err := sys.PagemapScan(int(f.Fd()), &arg, buffer)
		if err == unix.EINVAL && arg.ReturnMask != sys.PageIsPresent {
			arg.ReturnMask = sys.PageIsPresent // before Linux 6.15
			continue
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("PAGEMAP_SCAN", err)
		}
		for _, r := range buffer[:n] {
			c.run(r.Start, r.End, r.Categories&sys.PageIsGuard != 0)
		}
		if arg.WalkEnd <= arg.Start {
			return fmt.Errorf("PAGEMAP_SCAN does not get past %#x", arg.Start)
		}
		arg.Start = arg.WalkEnd
	}
	return nil
}

// Bits of an entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
const (
	pagemapPresent = 1 << 63
	pagemapSwapped = 1 << 62
	pagemapFile    = 1 << 61
	pagemapGuard   = 1 << 58 // Linux 6.15
)

// isPresent tells whether a page is in memory.
func isPresent(pid int, at uint64) (bool, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		return false, err
	}
	defer f.Close()
	var b [8]byte
	_, err = f.ReadAt(b[:], int64(at/pageSize*8))
	return binary.LittleEndian.Uint64(b[:])&pagemapPresent != 0, err
}

// readPagemap reads /proc/PID/pagemap, 8 bytes for each page of the areas. It
// can't tell the shared zero page from others; Pump drops it if it has to be
// dropped.
func readPagemap(f *os.File, c *collector) error {
	buffer := make([]byte, 128<<10)
	for _, a := range c.areas {
		for at := a.start; at < a.end; {
			b := buffer[:min(uint64(len(buffer)), (a.end-at)/pageSize*8)]
			n, err := f.ReadAt(b, int64(at/pageSize*8))
			if n == 0 && err != nil {
				return err
			}
			for i := 0; i+8 <= n; i += 8 {
				e := binary.LittleEndian.Uint64(b[i:])
				if e&(pagemapPresent|pagemapSwapped) != 0 && e&pagemapFile == 0 {
					c.run(at, at+pageSize, e&pagemapGuard != 0)
				}
				at += pageSize
			}
		}
	}
	return nil
}
