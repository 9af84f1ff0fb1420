package uring

import (
	"encoding/binary"
	"errors"
	"fmt"

	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/internal/procfs"
)

// kernel reads structures. The first error stays, and everything read after it
// is zero: so a walk asks once, at its end.
type kernel struct {
	view.Kernel
	err error
}

// check refuses kernels that keep requests in a form which nobody has tried: those
// from Linux 6.2 to 6.9.
func (k *kernel) check() error {
	if !k.has("io_async_rw", "iter") && !isLinux61() { // since 6.10
		return errors.New("it is known of Linux 6.1, and since 6.10")
	}
	return nil
}

// isLinux61 says that the kernel is that of Debian 12, or one like it: some bits have
// other places there than later.
func isLinux61() bool {
	major, minor, err := procfs.KernelVersion()
	return err == nil && major == 6 && minor == 1
}

// object is a structure in the kernel's memory, copied whole.
type object struct {
	k    *kernel
	name string
	at   uint64
	b    []byte
}

// object copies a structure.
func (k *kernel) object(name string, at uint64) *object {
	o := &object{k: k, name: name, at: at}
	size, err := k.Size(name)
	if err == nil && at == 0 {
		err = fmt.Errorf("there is no struct %s", name)
	}
	if err == nil {
		o.b = make([]byte, size)
		err = k.Read(at, o.b)
	}
	k.fail(err)
	return o
}

func (k *kernel) fail(err error) {
	if k.err == nil {
		k.err = err
	}
}

// read copies n bytes; nil after an error.
func (k *kernel) read(at uint64, n int) []byte {
	if k.err != nil {
		return nil
	}
	b := make([]byte, n)
	if k.err = k.Read(at, b); k.err != nil {
		return nil
	}
	return b
}

// pointers copies n pointers.
func (k *kernel) pointers(at uint64, n int) []uint64 {
	b := k.read(at, 8*n)
	out := make([]uint64, len(b)/8)
	for i := range out {
		out[i] = binary.NativeEndian.Uint64(b[8*i:])
	}
	return out
}

// offset is where a member of a structure lies.
func (k *kernel) offset(name, member string) uint64 {
	at, err := k.Member(name, member)
	k.fail(err)
	return uint64(at)
}

// has says whether the running kernel's structure has a member.
func (k *kernel) has(name, member string) bool {
	_, err := k.Member(name, member)
	return err == nil
}

// place is where a member of it lies in the kernel.
func (o *object) place(member string) uint64 { return o.at + o.k.offset(o.name, member) }

func (o *object) bytes(member string, n uint64) []byte {
	at := o.k.offset(o.name, member)
	if o.k.err != nil || at+n > uint64(len(o.b)) {
		o.k.fail(fmt.Errorf("%s of struct %s lies outside of it", member, o.name))
		return make([]byte, n)
	}
	return o.b[at:][:n]
}

func (o *object) u64(member string) uint64 { return binary.NativeEndian.Uint64(o.bytes(member, 8)) }
func (o *object) u32(member string) uint32 { return binary.NativeEndian.Uint32(o.bytes(member, 4)) }
func (o *object) u16(member string) uint16 { return binary.NativeEndian.Uint16(o.bytes(member, 2)) }
func (o *object) u8(member string) uint8   { return o.bytes(member, 1)[0] }

// bit is a field of one bit.
func (o *object) bit(member string) bool {
	at, bit, err := o.k.Bit(o.name, member)
	o.k.fail(err)
	return err == nil && int(at) < len(o.b) && o.b[at]&(1<<bit) != 0
}

// inner is a structure inside of it, be it that the kernel knows its bytes by
// another name.
func (o *object) inner(name, member string) *object {
	at := o.k.offset(o.name, member)
	if o.k.err != nil || at > uint64(len(o.b)) {
		return &object{k: o.k, name: name}
	}
	return &object{k: o.k, name: name, at: o.at + at, b: o.b[at:]}
}

// mostInList ends the walk of a list that somebody changes under our eyes.
const mostInList = 1 << 20

// list walks a list_head: each is called with what contains the link, which
// lies offset bytes into it.
func (k *kernel) list(head, offset uint64, each func(at uint64)) {
	k.chain(k.pointer(head), head, offset, each)
}

// chain walks what a first pointer leads to: an hlist, an llist, a list of
// io_wq_work_nodes, all of which begin with the pointer to the next.
func (k *kernel) chain(first, end, offset uint64, each func(at uint64)) {
	for n := 0; first != end && first != 0 && k.err == nil; n++ {
		if n == mostInList {
			k.fail(fmt.Errorf("a list in the kernel has no end"))
			return
		}
		each(first - offset)
		first = k.pointer(first)
	}
}

func (k *kernel) pointer(at uint64) uint64 {
	if p := k.pointers(at, 1); len(p) == 1 {
		return p[0]
	}
	return 0
}
