package sys

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MountIDMaps is statmount(2) for STATMOUNT_MNT_UIDMAP and STATMOUNT_MNT_GIDMAP (Linux
// 6.15): the maps of an id-mapped mount, given by its unique number (STATX_MNT_ID_UNIQUE),
// in the thread's mount namespace. Each range is "INSIDE OUTSIDE COUNT", as in
// /proc/PID/uid_map. ok is false if the kernel does not tell.
func MountIDMaps(unique uint64) (uids, gids []string, ok bool, err error) {
	const (
		uidMap, gidMap = 0x2000, 0x4000
		header         = 512 // struct statmount, without the texts
	)
	request := struct {
		size, spare   uint32
		mount, param  uint64
		mountNamepace uint64
	}{size: 32, mount: unique, param: uidMap | gidMap}
	b := make([]byte, 64<<10)
	if _, err := call6(unix.SYS_STATMOUNT, uintptr(unsafe.Pointer(&request)), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0); err != nil {
		return nil, nil, false, err
	}
	le := binary.LittleEndian
	if le.Uint64(b[8:])&(uidMap|gidMap) != uidMap|gidMap {
		return nil, nil, false, nil
	}
	texts := func(at int) (all []string) {
		rest := b[min(len(b), header+int(le.Uint32(b[at+4:]))):]
		for range le.Uint32(b[at:]) {
			text, after, _ := bytes.Cut(rest, []byte{0})
			all, rest = append(all, strings.TrimSpace(string(text))), after
		}
		return all
	}
	return texts(152), texts(160), true, nil
}
