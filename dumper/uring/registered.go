package uring

import (
	"lxc-checkpoint/image/format"
)

// registered finds what programs have registered with the ring: buffers, files,
// an eventfd, rings of buffers, limits of workers.
func (r *ring) registered() error {
	if r.ctx.u64("buf_table.nodes") != 0 || r.ctx.u64("file_table.data.nodes") != 0 {
		if !r.k.has("io_rsrc_node", "file_ptr") {
			return obstacle("have the program do without, or run it on Linux 6.13", "files or buffers are registered with it, and this kernel keeps them in a form that this version does not know")
		}
	}
	for _, step := range []func() error{r.buffers, r.files, r.event, r.bufferRings} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// most is more than the kernel registers of anything (IORING_MAX_FIXED_FILES).
const most = 1 << 20

// nodes are the io_rsrc_nodes of a table; nil where nothing is registered.
func (r *ring) nodes(table string) []*object {
	n := r.ctx.u32(table + ".nr")
	if n == 0 || n > most {
		return nil
	}
	nodes := make([]*object, n)
	for i, at := range r.k.pointers(r.ctx.u64(table+".nodes"), int(n)) {
		if at != 0 {
			nodes[i] = r.k.object("io_rsrc_node", at)
		}
	}
	return nodes
}

func (r *ring) buffers() error {
	if !r.k.has("io_ring_ctx", "buf_table") {
		return nil
	}
	for i, node := range r.nodes("buf_table") {
		b := &format.IoUringBuffer{}
		r.out.Buffers = append(r.out.Buffers, b)
		if node == nil {
			continue
		}
		m := r.k.object("io_mapped_ubuf", node.u64("buf"))
		if r.k.has("io_mapped_ubuf", "is_kbuf") && m.u8("is_kbuf") != 0 {
			return obstacle("have the program unregister it", "its registered buffer %d is the kernel's", i)
		}
		b.Start, b.Length, b.Tag = m.u64("ubuf"), uint64(m.u32("len")), node.u64("tag")
		if r.k.err != nil {
			return nil
		}
		ok, err := r.Writable(r.owner.PID, b.Start, b.Length)
		if err != nil {
			return err
		}
		if !ok {
			return obstacle("have the program unregister it", "its registered buffer %d is no longer memory that the program can write", i)
		}
	}
	return nil
}

func (r *ring) files() error {
	for i, node := range r.nodes("file_table.data") {
		f := &format.IoUringFile{}
		r.out.Files = append(r.out.Files, f)
		if node == nil {
			continue
		}
		const ours = 3 // FFS_MASK: two bits are the kernel's notes
		id, known := r.File(node.u64("file_ptr") &^ ours)
		if !known {
			return obstacle("have the program keep a descriptor of it", "no descriptor leads to its registered file %d", i)
		}
		f.OpenFile, f.Tag = id, node.u64("tag")
	}
	return nil
}

func (r *ring) event() error {
	at := r.ctx.u64("io_ev_fd")
	if at == 0 {
		return nil
	}
	e := r.k.object("io_ev_fd", at)
	id, known := r.Event(e.u64("cq_ev_fd"))
	if !known {
		return obstacle("have the program keep a descriptor of it", "no descriptor leads to the eventfd that it signals")
	}
	const asyncBit = 1
	r.out.Event = &format.IoUringEvent{OpenFile: id, Async: e.u32("eventfd_async")&asyncBit != 0}
	return nil
}

// bufferRings walks the xarray of groups of provided buffers.
func (r *ring) bufferRings() error {
	if !r.k.has("io_ring_ctx", "io_bl_xa") {
		return nil
	}
	var err error
	r.xarray(r.ctx.u64("io_bl_xa.xa_head"), func(at uint64) {
		if e := r.bufferRing(r.k.object("io_buffer_list", at)); e != nil {
			err = e
		}
	})
	return err
}

func (r *ring) bufferRing(l *object) error {
	const isRing, incremental = 1, 2 // IOBL_BUF_RING, IOBL_INC
	if l.u16("flags")&isRing == 0 {
		if list := l.place("buf_list"); r.k.pointer(list) == list {
			return nil // all are used, and that it was there makes no difference
		}
		return obstacle("have the program use a ring of buffers (IORING_REGISTER_PBUF_RING)", "buffers of the old kind are provided to it (IORING_OP_PROVIDE_BUFFERS)")
	}
	b := &format.IoUringBufferRing{Group: uint32(l.u16("bgid")), Entries: uint32(l.u16("nr_entries")), Head: uint32(l.u16("head"))}
	if b.Entries == 0 { // 65536 does not fit
		b.Entries = uint32(l.u16("mask")) + 1
	}
	if l.u16("flags")&incremental != 0 {
		b.Flags |= 2 // IOU_PBUF_RING_INC
	}
	const userProvided = 2 // IO_REGION_F_USER_PROVIDED
	region := l.inner("io_mapped_region", "region")
	if region.u32("flags")&userProvided == 0 {
		b.Flags |= 1 // IOU_PBUF_RING_MMAP
		b.Ring = r.k.read(region.u64("ptr"), int(b.Entries)*16)
		r.out.BufferRings = append(r.out.BufferRings, b)
		return nil
	}
	start, found, err := r.Find(r.owner.PID, r.frame(r.k.pointer(region.u64("pages"))))
	if err != nil {
		return err
	}
	if !found {
		return obstacle("have the program register it again", "the memory of its ring of buffers %d is no longer the program's", b.Group)
	}
	b.Start = start
	r.out.BufferRings = append(r.out.BufferRings, b)
	return nil
}

// frame is the number of the page that a struct page stands for. Where the
// first of all is, those of the ring's own memory tell, whose numbers are known
// by its mapping.
func (r *ring) frame(page uint64) uint64 {
	size, err := r.k.Size("page")
	r.k.fail(err)
	if err != nil {
		return 0
	}
	known := r.k.pointer(r.ctx.u64("ring_region.pages"))
	return r.Frame + uint64(int64(page-known)/int64(size))
}

// xarray calls each with every pointer in an xarray (include/linux/xarray.h).
func (r *ring) xarray(entry uint64, each func(at uint64)) {
	const (
		internal = 2 // in the lowest two bits: a node, if it is no small number
		slots    = 64
	)
	switch {
	case entry == 0 || r.k.err != nil:
	case entry&3 != internal:
		if entry&3 == 0 {
			each(entry)
		}
	case entry > 4096:
		node := entry - internal
		for _, inner := range r.k.pointers(node+r.k.offset("xa_node", "slots"), slots) {
			r.xarray(inner, each)
		}
	}
}
