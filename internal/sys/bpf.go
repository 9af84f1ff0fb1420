package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// BPFNameLength is BPF_OBJ_NAME_LEN: of a name with its final NUL byte
// (include/uapi/linux/bpf.h, as all of this file).
const BPFNameLength = 16

// BPFInstruction is struct bpf_insn.
type BPFInstruction struct {
	Code      uint8
	Registers uint8 // the destination's number, and the source's times 16
	Offset    int16
	Immediate int32
}

// BPFMap is what BPF_MAP_CREATE takes.
type BPFMap struct {
	Type       uint32
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Flags      uint32
	_          uint32 // inner_map_fd
	_          uint32 // numa_node
	Name       [BPFNameLength]byte
}

// BPFMapInfo is the beginning of struct bpf_map_info.
type BPFMapInfo struct {
	Type       uint32
	ID         uint32
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Flags      uint32
	Name       [BPFNameLength]byte
	IfIndex    uint32
	_          uint32 // btf_vmlinux_value_type_id
	_          uint64 // netns_dev
	_          uint64 // netns_ino
	_          uint32 // btf_id
	_          uint32 // btf_key_type_id
	ValueType  uint32 // btf_value_type_id
	_          uint32
	Extra      uint64 // map_extra
}

// BPFProgramInfo is the beginning of struct bpf_prog_info.
type BPFProgramInfo struct {
	Type           uint32
	ID             uint32
	Tag            [8]byte
	JitedLength    uint32
	XlatedLength   uint32
	Jited          unsafe.Pointer
	Xlated         unsafe.Pointer
	LoadTime       uint64
	CreatedBy      uint32
	MapCount       uint32
	Maps           unsafe.Pointer
	Name           [BPFNameLength]byte
	IfIndex        uint32
	GPL            uint32 // bit 0: gpl_compatible
	_              uint64 // netns_dev
	_              uint64 // netns_ino
	JitedKsymCount uint32 // functions that it consists of
	_              uint32
}

// BPFLinkInfo is the beginning of struct bpf_link_info, of a link to a cgroup.
type BPFLinkInfo struct {
	Type       uint32
	ID         uint32
	Program    uint32
	_          uint32
	Cgroup     uint64 // its inode
	AttachType uint32
	_          [36]byte
}

// bpf is bpf(2). attr must not be smaller than what the kernel reads of it: it
// takes the rest for zeros.
func bpf(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		n, err := call6(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size, 0, 0, 0)
		// The verifier can be interrupted by a signal.
		if err != unix.EAGAIN && err != unix.EINTR {
			return int(n), err
		}
	}
}

// BPFMapCreate makes a map.
func BPFMapCreate(m *BPFMap) (fd int, err error) {
	return bpf(unix.BPF_MAP_CREATE, unsafe.Pointer(m), unsafe.Sizeof(*m))
}

// bpfElement is the attribute of the calls for an element of a map.
type bpfElement struct {
	fd    uint32
	_     uint32
	key   unsafe.Pointer
	value unsafe.Pointer // or the next key
	flags uint64
}

// BPFMapLookup copies the value of a key.
func BPFMapLookup(fd int, key, value []byte) error {
	a := bpfElement{fd: uint32(fd), key: base(key), value: base(value)}
	_, err := bpf(unix.BPF_MAP_LOOKUP_ELEM, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return err
}

// BPFMapUpdate sets the value of a key, which it makes if it is not there.
func BPFMapUpdate(fd int, key, value []byte) error {
	a := bpfElement{fd: uint32(fd), key: base(key), value: base(value)}
	_, err := bpf(unix.BPF_MAP_UPDATE_ELEM, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return err
}

// BPFMapNextKey copies the key after one, or the first if that is nil. ENOENT:
// there is none.
func BPFMapNextKey(fd int, key, next []byte) error {
	a := bpfElement{fd: uint32(fd), key: base(key), value: base(next)}
	_, err := bpf(unix.BPF_MAP_GET_NEXT_KEY, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return err
}

// BPFMapFreeze takes the right to write a map from all system calls.
func BPFMapFreeze(fd int) error {
	a := struct{ fd, _ uint32 }{fd: uint32(fd)}
	_, err := bpf(unix.BPF_MAP_FREEZE, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return err
}

// BPFObject is a kind of what bpf(2) numbers: the commands that list and open it.
type BPFObject struct{ next, open int }

var (
	BPFMaps     = BPFObject{unix.BPF_MAP_GET_NEXT_ID, unix.BPF_MAP_GET_FD_BY_ID}
	BPFPrograms = BPFObject{unix.BPF_PROG_GET_NEXT_ID, unix.BPF_PROG_GET_FD_BY_ID}
	BPFLinks    = BPFObject{unix.BPF_LINK_GET_NEXT_ID, unix.BPF_LINK_GET_FD_BY_ID}
)

type bpfID struct{ id, next, flags uint32 }

// Next is the number after one; ENOENT: there is none.
func (o BPFObject) Next(id uint32) (uint32, error) {
	a := bpfID{id: id}
	_, err := bpf(o.next, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return a.next, err
}

// Open opens the object with a number. flags are for maps: BPF_F_RDONLY,
// BPF_F_WRONLY.
func (o BPFObject) Open(id, flags uint32) (fd int, err error) {
	a := bpfID{id: id, flags: flags}
	return bpf(o.open, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

// BPFInfo asks what a descriptor of an object is.
func BPFInfo[T BPFMapInfo | BPFProgramInfo | BPFLinkInfo](fd int, info *T) error {
	a := struct {
		fd, size uint32
		info     unsafe.Pointer
	}{uint32(fd), uint32(unsafe.Sizeof(*info)), unsafe.Pointer(info)}
	_, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return err
}

// BPFProgram is what BPF_PROG_LOAD takes.
type BPFProgram struct {
	Type         uint32
	GPL          bool
	AttachType   uint32
	Name         [BPFNameLength]byte
	Instructions []BPFInstruction
}

// BPFLoad loads a program.
func BPFLoad(p *BPFProgram) (fd int, err error) {
	license := []byte("Proprietary\x00")
	if p.GPL {
		license = []byte("GPL\x00")
	}
	a := struct {
		kind, count  uint32
		instructions unsafe.Pointer
		license      unsafe.Pointer
		_, _         uint32
		_            uint64
		_, _         uint32 // kern_version, prog_flags
		name         [BPFNameLength]byte
		_            uint32 // prog_ifindex
		attachType   uint32
	}{
		kind: p.Type, count: uint32(len(p.Instructions)), instructions: unsafe.Pointer(unsafe.SliceData(p.Instructions)),
		license: base(license), name: p.Name, attachType: p.AttachType,
	}
	return bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

// BPFQuery lists the programs that are attached to a cgroup itself, as many as
// ids has room for (ENOSPC: there are more), and the flags of the attachment.
func BPFQuery(cgroup int, attachType uint32, ids []uint32) (n int, flags uint32, err error) {
	a := struct {
		fd, kind, query, flags uint32
		ids                    unsafe.Pointer
		count, _               uint32
	}{fd: uint32(cgroup), kind: attachType, ids: unsafe.Pointer(unsafe.SliceData(ids)), count: uint32(len(ids))}
	_, err = bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return int(a.count), a.flags, err
}

// BPFAttach attaches a program to a cgroup.
func BPFAttach(cgroup, program int, attachType, flags uint32) error {
	a := struct{ fd, program, kind, flags uint32 }{uint32(cgroup), uint32(program), attachType, flags}
	_, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return err
}

// BPFDetach detaches a program from a cgroup.
func BPFDetach(cgroup, program int, attachType uint32) error {
	a := struct{ fd, program, kind, flags uint32 }{uint32(cgroup), uint32(program), attachType, 0}
	_, err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return err
}

// BPFMapLookupBatch copies elements, as many as there is room for, from where a
// call before has left off (from; nil: the beginning) and says where it leaves
// off (to). ENOENT: those were the last.
func BPFMapLookupBatch(fd int, from, to, keys, values []byte, count uint32) (n uint32, err error) {
	a := struct {
		from, to, keys, values unsafe.Pointer
		count, fd              uint32
		elementFlags, flags    uint64
	}{from: base(from), to: base(to), keys: base(keys), values: base(values), count: count, fd: uint32(fd)}
	_, err = bpf(unix.BPF_MAP_LOOKUP_BATCH, unsafe.Pointer(&a), unsafe.Sizeof(a))
	return a.count, err
}

// BPFLink attaches a program to a network interface of the caller's network
// namespace, for as long as the descriptor is open (BPF_LINK_CREATE, Linux 5.9 for
// XDP).
func BPFLink(program, index int, attachType, flags uint32) (fd int, err error) {
	a := struct{ program, index, kind, flags uint32 }{uint32(program), uint32(index), attachType, flags}
	return bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&a), unsafe.Sizeof(a))
}
