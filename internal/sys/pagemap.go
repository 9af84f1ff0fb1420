package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// PagemapScanRequest is PAGEMAP_SCAN, _IOWR('f', 16, struct pm_scan_arg)
// (include/uapi/linux/fs.h, Linux 6.7).
const PagemapScanRequest = 0xc0606610

// Categories of a page.
const (
	PageIsWPAllowed    = 1 << 0
	PageIsWritten      = 1 << 1
	PageIsFile         = 1 << 2
	PageIsPresent      = 1 << 3
	PageIsSwapped      = 1 << 4
	PageIsPfnZero      = 1 << 5
	PageIsHuge         = 1 << 6
	PageIsSoftDirty    = 1 << 7
	PageIsGuard        = 1 << 8 // Linux 6.15
	PmScanWPMatching   = 1 << 0 // flag: write-protect what matches
	PmScanCheckWPAsync = 1 << 1 // flag: EPERM where asynchronous write-protect is not set up
)

// PageRegion is struct page_region.
type PageRegion struct {
	Start, End uint64 // addresses
	Categories uint64 // PageIs*
}

// PagemapScanArg is struct pm_scan_arg.
type PagemapScanArg struct {
	Size             uint64 // SizeofPagemapScanArg
	Flags            uint64
	Start, End       uint64 // addresses
	WalkEnd          uint64 // out: where the walk ended
	Vec              *PageRegion
	VecLen           uint64
	MaxPages         uint64
	CategoryInverted uint64
	CategoryMask     uint64
	CategoryAnyof    uint64
	ReturnMask       uint64
}

// SizeofPagemapScanArg is sizeof(struct pm_scan_arg), in bytes.
const SizeofPagemapScanArg = 96

// PagemapScan is ioctl(PAGEMAP_SCAN) on an open /proc/PID/pagemap. It sets
// a.Size, a.Vec and a.VecLen from regions and returns how many of them were
// filled; a.WalkEnd says how far it came.
func PagemapScan(fd int, a *PagemapScanArg, regions []PageRegion) (int, error) {
	a.Size = SizeofPagemapScanArg
	a.Vec = unsafe.SliceData(regions)
	a.VecLen = uint64(len(regions))
	r, err := call6(unix.SYS_IOCTL, uintptr(fd), PagemapScanRequest, uintptr(unsafe.Pointer(a)), 0, 0, 0)
	return int(r), err
}
